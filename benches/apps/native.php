<?php
// What benches/native measures, in a worker of a server.

use RoadRunner\{KeyValue, Lock, Metrics, Request, Response, Server};

const VALUE = 100;
const KEYS = 1000;
$folder = getenv('BENCH_FOLDER');

/** Nanoseconds of one turn: the best of five rounds, less what an empty loop takes. */
function cost(int $turns, callable $loop): float
{
    $best = INF;
    for ($round = 0; $round < 5; $round++) {
        $began = hrtime(true);
        $loop($turns);
        $best = min($best, (hrtime(true) - $began) / $turns);
    }
    return $best;
}

/** The value in the middle. */
function median(array $values): float
{
    sort($values);
    return $values[intdiv(count($values), 2)];
}

function figure(string $name, float $value, string $unit = 'ns'): string
{
    return sprintf("%s %.1f %s\n", $name, $value, $unit);
}

/** A frame of goridge (RP-01). */
function frame(int $sequence, string $method, string $body): string
{
    $head = pack('CCV', 0x15, 0x08, strlen($method) + strlen($body));
    return $head . pack('VCC', crc32($head), 0, 0) . pack('VV', $sequence, strlen($method)) . $method . $body;
}

function exactly($stream, int $length): string
{
    $bytes = '';
    while (strlen($bytes) < $length) {
        $bytes .= fread($stream, $length - strlen($bytes));
    }
    return $bytes;
}

function connect(string $path)
{
    $stream = stream_socket_client("unix://$path", $code, $error, 5);
    return $stream ?: throw new RuntimeException("$path: $error");
}

function names(): array
{
    return array_map(fn (int $number) => "key:$number", range(0, KEYS - 1));
}

function gets(KeyValue $kv, array $names): float
{
    return cost(300_000, function (int $turns) use ($kv, $names) {
        for ($turn = 0; $turn < $turns; $turn++) {
            $value = $kv->get($names[$turn % KEYS]);
        }
    });
}

function bare(array $names): float
{
    return cost(300_000, function (int $turns) use ($names) {
        for ($turn = 0; $turn < $turns; $turn++) {
            $value = $names[$turn % KEYS];
        }
    });
}

function alone(string $folder): string
{
    $kv = KeyValue::open('cache');
    $names = names();
    $value = str_repeat('v', VALUE);
    foreach ($names as $name) {
        $kv->set($name, $value);
        apcu_store($name, $value);
    }
    $bare = bare($names);
    $text = figure('kv_get', gets($kv, $names) - $bare);
    $text .= figure('apcu_fetch', cost(300_000, function (int $turns) use ($names) {
        for ($turn = 0; $turn < $turns; $turn++) {
            $value = apcu_fetch($names[$turn % KEYS]);
        }
    }) - $bare);
    // One after the other, so that what a wake-up costs at that moment falls on both: the median of each, and that of the
    // differences of neighbours.
    [$trips, $sets, $more] = [[], [], []];
    for ($turn = 0; $turn < 10_000; $turn++) {
        $began = hrtime(true);
        $kv->expire('nothing', 60);
        $between = hrtime(true);
        $kv->set($names[$turn % KEYS], $value);
        $ended = hrtime(true);
        $trips[] = $between - $began;
        $sets[] = $ended - $between;
        $more[] = $ended - 2 * $between + $began;
    }
    $text .= figure('channel_round_trip', median($trips)) . figure('kv_set', median($sets));
    $text .= figure('kv_set_over_round_trip', median($more));
    $text .= figure('apcu_store', cost(100_000, function (int $turns) use ($names, $value) {
        for ($turn = 0; $turn < $turns; $turn++) {
            apcu_store($names[$turn % KEYS], $value);
        }
    }) - $bare);
    $redis = connect("$folder/redis.sock");
    fwrite($redis, "SET key $value\r\n");
    exactly($redis, 5);
    $text .= figure('redis_get', cost(5_000, function (int $turns) use ($redis) {
        for ($turn = 0; $turn < $turns; $turn++) {
            fwrite($redis, "GET key\r\n");
            exactly($redis, VALUE + 8);
        }
    }));
    $rpc = connect("$folder/rpc.sock");
    $sequence = 0;
    $text .= figure('rpc_round_trip', cost(5_000, function (int $turns) use ($rpc, &$sequence) {
        for ($turn = 0; $turn < $turns; $turn++) {
            fwrite($rpc, frame(++$sequence, 'rpc.Version', 'true'));
            $head = exactly($rpc, 20);
            exactly($rpc, unpack('V', $head, 2)[1]);
        }
    }));
    $text .= figure('lock_unlock', cost(5_000, function (int $turns) {
        for ($turn = 0; $turn < $turns; $turn++) {
            Lock::acquire('alone')->release();
        }
    }));
    $counter = Metrics::counter('bench_total', ['route'])->with(['/']);
    $loop = cost(300_000, function (int $turns) {
        for ($turn = 0; $turn < $turns; $turn++) {
        }
    });
    $text .= figure('counter_increment', cost(300_000, function (int $turns) use ($counter) {
        for ($turn = 0; $turn < $turns; $turn++) {
            $counter->inc();
        }
    }) - $loop);
    return $text . figure('scrape_10000', scrape("$folder/metrics.sock") / 1e6, 'ms');
}

/** Nanoseconds of a scrape of 10 000 series. */
function scrape(string $path): float
{
    $series = Metrics::counter('series_total', ['number']);
    for ($number = 0; $number < 10_000; $number++) {
        $series->inc(1, [(string) $number]);
    }
    return cost(1, function () use ($path) {
        $stream = connect($path);
        fwrite($stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        if (substr_count(stream_get_contents($stream), "\nseries_total{") < 9_999) {
            throw new RuntimeException('series are missing');
        }
    });
}

/** Changes what the other reads, until that is done. */
function writer(KeyValue $kv): string
{
    $names = names();
    $value = str_repeat('w', VALUE);
    for ($turn = 0; !$kv->has('read'); $turn++) {
        $kv->set($names[$turn % KEYS], $value);
        $kv->set('writing', $turn);
    }
    $kv->delete('read');
    return "$turn\n";
}

function besideWriter(KeyValue $kv): string
{
    while (!$kv->has('writing')) {
    }
    $names = names();
    $took = gets($kv, $names) - bare($names);
    $kv->set('read', true);
    return figure('kv_get_beside_writer', $took);
}

/**
 * Two workers that take a lock from each other. Counted is what lies between the release of one and the return of the other,
 * who has waited: the lowest tenth.
 */
function contended(bool $measures): string
{
    $kv = KeyValue::open('cache');
    if (!$measures) {
        $kv->set('contends', true);
        while ($kv->has('contends')) {
            $asked = hrtime(true);
            $lock = Lock::acquire('contended', wait: 10);
            $kv->set('handed', [$asked, hrtime(true)]);
            $lock->release();
        }
        return '';
    }
    while (!$kv->has('contends')) {
    }
    $took = [];
    for ($turn = 0; $turn < 4_000; $turn++) {
        $lock = Lock::acquire('contended', wait: 10);
        [$asked, $had] = $kv->get('handed') ?? [0, 0];
        if ($turn > 0 && $asked < $released && $had > $released) {
            $took[] = $had - $released;
        }
        // Until the other waits.
        for ($until = hrtime(true) + 30_000; hrtime(true) < $until;) {
        }
        $released = hrtime(true);
        $lock->release();
    }
    $kv->delete('contends');
    sort($took);
    return figure('lock_handover', $took[intdiv(count($took), 10)] ?? NAN);
}

Server::create([
    'logs' => ['level' => 'warn'],
    'http' => ['address' => "unix://$folder/http.sock", 'pool' => ['num_workers' => 2]],
    'rpc' => ['listen' => "unix://$folder/rpc.sock"],
    'metrics' => ['address' => "unix://$folder/metrics.sock"],
    'kv' => ['cache' => ['driver' => 'memory']],
])->http(null, fn (Request $request): string|Response => match ($request->path()) {
    '/' => 'ready',
    '/alone' => alone($folder),
    '/writer' => writer(KeyValue::open('cache')),
    '/beside-writer' => besideWriter(KeyValue::open('cache')),
    '/contender' => contended(false),
    '/contended' => contended(true),
    default => new Response('Not Found', 404),
})->run();
