<?php

// A command worker that does what no worker should: FAULT says what.

declare(strict_types=1);

const CONTROL = 0x01;
const JSON = 0x08;

while (getenv('FAULT') === 'late' && file_exists('late')) {
    usleep(10_000);
    clearstatcache();
}
$dsn = $_SERVER['RR_RELAY'] ?? 'pipes';
[$in, $out] = $dsn === 'pipes' ? [STDIN, STDOUT] : array_fill(0, 2, stream_socket_client($dsn));

function take($in): ?array
{
    $prefix = '';
    while (strlen($prefix) < 12) {
        $piece = fread($in, 12 - strlen($prefix));
        if ($piece === '' || $piece === false) {
            return null;
        }
        $prefix .= $piece;
    }
    ['flags' => $flags, 'length' => $length] = unpack('x/Cflags/Vlength', $prefix);
    $rest = $length + 4 * ((ord($prefix[0]) & 0x0f) - 3);
    $bytes = '';
    while (strlen($bytes) < $rest) {
        $bytes .= fread($in, $rest - strlen($bytes));
    }
    return [$flags, $bytes];
}

function frame(int $flags, array $options, string $payload, ?int $length = null): string
{
    $head = pack('CCV', 1 << 4 | 3 + count($options), $flags, $length ?? strlen($payload));
    return $head . pack('V', crc32($head)) . "\0\0" . pack('V*', ...$options) . $payload;
}

function put($out, string $bytes): void
{
    for ($sent = 0; $sent < strlen($bytes); $sent += $count) {
        $count = fwrite($out, substr($bytes, $sent));
        if ($count === false || $count === 0) {
            exit(9);
        }
    }
    fflush($out);
}

$fault = getenv('FAULT') ?: 'none';
$hello = json_encode(['pid' => getmypid()]);
$head = '{"status":200,"headers":{}}';
$answer = static fn (string $body): string => frame(JSON, [strlen($head)], $head . $body);

if ($fault === 'die') {
    fwrite(STDERR, "the database is not there\n");
    exit(7);
}
if ($fault === 'print') {
    put($out, "Warning: something at the start\n");
    exit(0);
}
if ($fault === 'short') {
    put($out, 'Hi');
    while (true) {
        sleep(1000);
    }
}
// A handshake that is damaged as long as there is a file that says so.
$damage = static function (string $bytes): string {
    if (!file_exists('damage')) {
        return $bytes;
    }
    mt_srand(getmypid());
    for ($index = mt_rand(1, 4); $index > 0; $index--) {
        $bytes[mt_rand(0, strlen($bytes) - 1)] = chr(mt_rand(0, 255));
    }
    return mt_rand(0, 3) === 0 ? substr($bytes, 0, mt_rand(0, strlen($bytes))) : $bytes;
};
while (($message = take($in)) !== null) {
    [$flags, $bytes] = $message;
    if ($flags & CONTROL) {
        if (str_contains($bytes, 'stop')) {
            exit(0);
        }
        put($out, match ($fault) {
            'no-pid' => frame(CONTROL, [], '{"pid":0}'),
            'wrong-pid' => frame(CONTROL, [], '{"pid":' . posix_getppid() . '}'),
            'damaged' => $damage(frame(CONTROL, [], $hello)),
            'no-hello' => frame(JSON, [2], '{}'),
            'nonsense' => frame(CONTROL, [], 'hello'),
            default => frame(CONTROL, [], $hello),
        });
        while ($fault === 'deaf') {
            sleep(1000);
        }
        continue;
    }
    $do = preg_match('/do=([a-z-]+)/', $bytes, $found) ? $found[1] : '';
    switch ($do) {
        case 'never':
            fwrite(STDERR, "for ever\n");
            while (true) {
                sleep(1000);
            }
        case 'twice':
            put($out, $answer('one'));
            put($out, $answer('two'));
            break;
        case 'huge':
            put($out, frame(JSON, [strlen($head)], $head . 'a little', 0xFFFFFFFF));
            while (true) {
                sleep(1000);
            }
        case 'context':
            put($out, frame(JSON, [0xFFFFFFF0], $head, 0xFFFFFFFF));
            break;
        case 'options':
            put($out, frame(JSON, [1, 2, 3], $head));
            break;
        case 'status':
            put($out, frame(JSON, [15], '{"status":"x"}x'));
            break;
        case 'close':
            // No fclose(): the constant would be left.
            fclose($out);
            while (true) {
                sleep(1000);
            }
        case 'random':
            mt_srand((int) preg_replace('/.*seed=(\d+).*/s', '$1', $bytes));
            $noise = $answer('fine');
            for ($index = 0; $index < 4; $index++) {
                $noise[mt_rand(0, strlen($noise) - 1)] = chr(mt_rand(0, 255));
            }
            put($out, $noise);
            break;
        case 'noise':
            mt_srand((int) preg_replace('/.*seed=(\d+).*/s', '$1', $bytes));
            $noise = '';
            for ($index = mt_rand(1, 200); $index > 0; $index--) {
                $noise .= chr(mt_rand(0, 255));
            }
            put($out, $noise);
            exit(0);
        case 'sendfile':
        case 'own-file':
            $name = $do === 'sendfile' ? 'X-Sendfile' : ':file';
            $named = json_encode(['status' => 200, 'headers' => [$name => [__FILE__]]]);
            put($out, frame(JSON, [strlen($named)], $named . 'the body'));
            break;
        case 'returns':
            put($out, frame(JSON, [13], '{"stop":true}'));
            break;
        case 'retry':
            // Once: the next worker finds the file.
            $mark = sys_get_temp_dir() . '/' . getenv('MARK');
            $first = !file_exists($mark);
            touch($mark);
            put($out, $first ? frame(JSON, [13], '{"stop":true}') : $answer('second ' . strlen($bytes)));
            break;
        case 'after':
            put($out, $answer('bye') . frame(JSON, [13], '{"stop":true}'));
            break;
        default:
            put($out, $answer('pid ' . getmypid()));
    }
}
