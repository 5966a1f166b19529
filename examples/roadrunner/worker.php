<?php

// A worker of RoadRunner in plain PHP: what spiral/roadrunner-worker and spiral/roadrunner-http do, in one file and
// without Composer. It reads goridge frames from its relay, answers each request, and leaves when told to.

declare(strict_types=1);

const CONTROL = 0x01;
const JSON = 0x08;
const ERROR = 0x40;
const STREAM = 0x01;
const STOP = 0x02;
const PING = 0x04;
const PONG = 0x08;

/** The two ends of the relay: standard streams, or a socket. */
final class Relay
{
    /** @var resource */
    private $in;
    /** @var resource */
    private $out;

    public function __construct(string $dsn)
    {
        if ($dsn === 'pipes') {
            [$this->in, $this->out] = [STDIN, STDOUT];
            return;
        }
        $socket = stream_socket_client($dsn, $code, $text, 10);
        if ($socket === false) {
            fwrite(STDERR, "cannot connect to {$dsn}: {$text}\n");
            exit(1);
        }
        [$this->in, $this->out] = [$socket, $socket];
    }

    /** @return array{flags: int, bits: int, context: string, body: string}|null null: the server is gone */
    public function receive(): ?array
    {
        $prefix = $this->read(12);
        if ($prefix === null) {
            return null;
        }
        $words = ord($prefix[0]) & 0x0f;
        ['flags' => $flags, 'length' => $length] = unpack('x/Cflags/Vlength', $prefix);
        $options = $words > 3 ? array_values(unpack('V*', (string) $this->read(4 * ($words - 3)))) : [];
        $payload = $length > 0 ? (string) $this->read($length) : '';
        $context = $options[0] ?? 0;
        return [
            'flags' => $flags,
            'bits' => ord($prefix[10]),
            'context' => substr($payload, 0, $context),
            'body' => substr($payload, $context),
        ];
    }

    public function send(int $flags, ?string $context, string $body, int $bits = 0): void
    {
        $options = $context === null ? '' : pack('V', strlen($context));
        $head = pack('CCV', 1 << 4 | 3 + intdiv(strlen($options), 4), $flags, strlen((string) $context) + strlen($body));
        $frame = $head . pack('V', crc32($head)) . chr($bits) . "\0" . $options . $context . $body;
        for ($sent = 0; $sent < strlen($frame); $sent += $count) {
            $count = fwrite($this->out, $sent === 0 ? $frame : substr($frame, $sent));
            if ($count === false || $count === 0) {
                exit(1);
            }
        }
        fflush($this->out);
    }

    /** Whether the server has something to say now. */
    public function speaks(): bool
    {
        [$read, $none, $nothing] = [[$this->in], null, null];
        return stream_select($read, $none, $nothing, 0) === 1;
    }

    private function read(int $count): ?string
    {
        $bytes = '';
        while (strlen($bytes) < $count) {
            $piece = fread($this->in, $count - strlen($bytes));
            if ($piece === false || $piece === '') {
                return null;
            }
            $bytes .= $piece;
        }
        return $bytes;
    }
}

/** @param array<string, mixed> $request */
function answer(array $request, string $body): array
{
    parse_str($request['rawQuery'], $query);
    $do = $query['do'] ?? '';
    if ($do === 'error') {
        throw new RuntimeException('the app has failed');
    }
    if ($do === 'exit') {
        exit(3);
    }
    if ($do === 'print') {
        // Not for the relay: RoadRunner's clients send what is printed to stderr.
        fwrite(STDOUT, 'this breaks the protocol');
    }
    $answer = [
        'pid' => getmypid(),
        'mode' => $_SERVER['RR_MODE'] ?? null,
        'version' => $_SERVER['RR_VERSION'] ?? null,
        'request' => $request,
        'body' => $request['parsed'] ? json_decode($body === '' ? '{}' : $body, true) : null,
        'length' => strlen($body),
        'sha1' => sha1($body),
    ];
    $headers = ['Content-Type' => ['application/json'], 'X-Worker' => [(string) getmypid()]];
    return [200, $headers, json_encode($answer, JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE)];
}

$relay = new Relay($_SERVER['RR_RELAY'] ?? 'pipes');

while (($frame = $relay->receive()) !== null) {
    if ($frame['flags'] & CONTROL) {
        $message = json_decode($frame['context'] . $frame['body'], true);
        if (isset($message['stop'])) {
            exit(0);
        }
        $relay->send(CONTROL, null, json_encode(['pid' => getmypid()]));
        continue;
    }
    if ($frame['bits'] & (STOP | PONG)) {
        // It came when the stream was over.
        continue;
    }
    try {
        $request = json_decode($frame['context'], true, flags: JSON_THROW_ON_ERROR);
        if (str_contains($request['rawQuery'], 'do=stream')) {
            $head = json_encode(['status' => 200, 'headers' => ['Content-Type' => ['text/plain']]]);
            for ($line = 1; $line <= 20; $line++) {
                $ask = $line % 5 === 0;
                $relay->send(JSON, $line === 1 ? $head : '', "line {$line}\n", STREAM | ($ask ? PING : 0));
                if ($ask && ($relay->receive()['bits'] ?? STOP) & STOP) {
                    break;
                }
            }
            $relay->send(JSON, '', '');
            continue;
        }
        [$status, $headers, $body] = answer($request, $frame['body']);
        $relay->send(JSON, json_encode(['status' => $status, 'headers' => (object) $headers]), $body);
    } catch (Throwable $error) {
        $relay->send(ERROR, null, (string) $error);
    }
}
