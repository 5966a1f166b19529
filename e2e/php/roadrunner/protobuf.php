<?php

// A command worker that speaks protobuf as clients of RoadRunner 2024 and later do: it answers in what it was asked, or,
// with INSIST=1, in protobuf whatever it was asked. What it was asked is its answer.

declare(strict_types=1);

const CONTROL = 0x01;
const JSON = 0x08;
const PROTO = 0x80;
const STREAM = 0x01;

$dsn = $_SERVER['RR_RELAY'] ?? 'pipes';
[$in, $out] = $dsn === 'pipes' ? [STDIN, STDOUT] : array_fill(0, 2, stream_socket_client($dsn));

function read($in, int $count): string
{
    for ($bytes = ''; strlen($bytes) < $count; $bytes .= $piece) {
        $piece = fread($in, $count - strlen($bytes));
        if ($piece === '' || $piece === false) {
            exit(0);
        }
    }
    return $bytes;
}

function send($out, int $flags, ?string $context, string $body, int $bits = 0): void
{
    $options = $context === null ? '' : pack('V', strlen($context));
    $head = pack('CCV', 1 << 4 | 3 + intdiv(strlen($options), 4), $flags, strlen((string) $context . $body));
    fwrite($out, $head . pack('V', crc32($head)) . chr($bits) . "\0" . $options . $context . $body);
    fflush($out);
}

function varint(int $value): string
{
    for ($bytes = ''; $value > 0x7f; $value >>= 7) {
        $bytes .= chr($value & 0x7f | 0x80);
    }
    return $bytes . chr($value);
}

function field(int $number, string $bytes): string
{
    return varint($number << 3 | 2) . varint(strlen($bytes)) . $bytes;
}

function number(string $bytes, int &$at): int
{
    for ($value = $shift = 0; ; $shift += 7) {
        $byte = ord($bytes[$at++]);
        $value |= ($byte & 0x7f) << $shift;
        if ($byte < 0x80) {
            return $value;
        }
    }
}

/** @return list<array{int, int|string}> the fields of a message */
function fields(string $bytes): array
{
    $fields = [];
    for ($at = 0; $at < strlen($bytes);) {
        $key = number($bytes, $at);
        $value = number($bytes, $at);
        if (($key & 7) === 2) {
            [$length, $value] = [$value, substr($bytes, $at, $value)];
            $at += $length;
        }
        $fields[] = [$key >> 3, $value];
    }
    return $fields;
}

/** A map of names to lists of values. */
function entry(string $bytes): array
{
    [$name, $values] = ['', []];
    foreach (fields($bytes) as [$number, $value]) {
        $number === 1 ? $name = $value : $values = array_column(fields($value), 1);
    }
    return [$name => $values];
}

function request(string $bytes): array
{
    $names = [1 => 'remoteAddr', 'protocol', 'method', 'uri', 'headers', 'cookies', 'rawQuery', 'parsed', 'uploads', 'attributes'];
    $request = ['rawQuery' => '', 'headers' => [], 'cookies' => [], 'parsed' => false, 'uploads' => null];
    foreach (fields($bytes) as [$number, $value]) {
        $name = $names[$number];
        if (in_array($number, [5, 6, 10], true)) {
            $request[$name] = ($request[$name] ?? []) + entry($value);
        } else {
            $request[$name] = $number === 9 ? json_decode($value, true) : $value;
        }
    }
    return $request;
}

/** @param array<string, list<string>> $headers */
function head(int $codec, int $status, array $headers): string
{
    if ($codec !== PROTO) {
        return json_encode(['status' => $status, 'headers' => (object) $headers]);
    }
    $bytes = varint(1 << 3) . varint($status);
    foreach ($headers as $name => $values) {
        $list = implode('', array_map(fn ($value) => field(1, $value), $values));
        $bytes .= field(2, field(1, (string) $name) . field(2, $list));
    }
    return $bytes;
}

while (true) {
    // FR-12: clients read it at once, and a short one ends them.
    $prefix = fread($in, 12);
    if ($prefix === '' || $prefix === false) {
        exit(0);
    }
    if (strlen($prefix) !== 12) {
        fwrite(STDERR, 'a header in pieces');
        exit(12);
    }
    ['flags' => $flags, 'length' => $length] = unpack('x/Cflags/Vlength', $prefix);
    $count = (ord($prefix[0]) & 0x0f) - 3;
    $options = $count > 0 ? array_values(unpack('V*', read($in, 4 * $count))) : [0];
    $payload = read($in, $length);
    if ($flags & CONTROL) {
        if (str_contains($payload, 'stop')) {
            exit(0);
        }
        send($out, CONTROL, null, json_encode(['pid' => getmypid()]));
        continue;
    }
    $codec = $flags & PROTO ? PROTO : JSON;
    [$context, $body] = [substr($payload, 0, $options[0]), substr($payload, $options[0])];
    $request = $codec === PROTO ? request($context) : json_decode($context, true);
    $answer = json_encode(['codec' => $codec, 'request' => $request, 'body' => $body]);
    $said = getenv('INSIST') ? PROTO : $codec;
    $headers = ['Content-Type' => ['application/json'], 'X-Two' => ['one', 'two']];
    if (str_contains($request['rawQuery'], 'do=early')) {
        // HTTP-15.
        send($out, $said, head($said, 103, ['Link' => ['</a.css>; rel=preload']]), '', STREAM);
        send($out, $said, head($said, 418, $headers), $answer);
    } elseif (str_contains($request['rawQuery'], 'do=trailers')) {
        // HTTP-13.
        send($out, $said, head($said, 200, $headers + ['Trailer' => ['X-Sum'], 'X-Sum' => ['42']]), $answer);
    } elseif (str_contains($request['rawQuery'], 'do=stream')) {
        // HTTP-14: the head with the first piece, and an end without one.
        send($out, $said, head($said, 201, $headers), 'one ', STREAM);
        for ($piece = 2; $piece < 200; $piece++) {
            send($out, $said, '', "{$piece} ", STREAM);
        }
        send($out, $said, '', '');
    } else {
        send($out, $said, head($said, 200, $headers), $answer);
    }
}
