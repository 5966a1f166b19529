<?php
// A server with every plugin that PHP calls: key-value storages, locks, metrics, logs, services, status, and the goridge
// RPC listener for clients of RoadRunner.
//   RPC_LISTEN=tcp://127.0.0.1:6001 php -d extension=roadrunner.so examples/rpc/server.php

use RoadRunner\{KeyValue, Lock, Log, Metrics, Request, Response, Rpc, Server, Service};

$settings = [
    'http' => ['pool' => ['num_workers' => (int) (getenv('NUM_WORKERS') ?: 2)]],
    'rpc' => ['listen' => getenv('RPC_LISTEN') ?: 'tcp://127.0.0.1:6001'],
    'kv' => [
        'cache' => ['driver' => 'memory', 'config' => ['max_memory' => '64MB']],
        'sessions' => ['driver' => 'memory', 'config' => ['max_memory' => '16MB', 'eviction' => 'none']],
    ],
    'status' => ['address' => getenv('STATUS_ADDRESS') ?: '127.0.0.1:0'],
    'service' => ['heartbeat' => ['command' => "sh -c 'while :; do echo alive; sleep 60; done'", 'remain_after_exit' => true]],
    'metrics' => [
        'address' => getenv('METRICS_ADDRESS') ?: '127.0.0.1:0',
        'collect' => ['visits_total' => ['type' => 'counter', 'help' => 'Pages shown.', 'labels' => ['page']]],
    ],
];

function json(mixed $value): Response
{
    return new Response(json_encode($value, JSON_PRETTY_PRINT) . "\n", 200, ['Content-Type' => 'application/json']);
}

Server::create($settings)
    ->http(getenv('HTTP_ADDRESS') ?: '127.0.0.1:8080', function (Request $request): Response {
        Metrics::counter('visits_total', ['page'])->inc(1, [$request->path()]);
        $cache = KeyValue::open('cache');
        return match ($request->path()) {
            '/' => json(['visits' => $cache->increment('visits'), 'version' => Rpc::call('rpc.Version', true)]),
            '/time' => json(['computed' => $cache->getOrCompute('time', fn () => date(DATE_ATOM), ttl: 5)]),
            '/lock' => json(['fencing token' => Lock::with('page', fn (Lock $lock) => $lock->token(), ttl: 5, wait: 1)]),
            '/services' => json(Service::statuses('heartbeat')),
            '/log' => (function () {
                Log::info('somebody asked for the log', ['at' => time()]);
                return json('logged');
            })(),
            '/workers' => json(Rpc::call('informer.Workers', 'http')),
            default => new Response("Not Found\n", 404),
        };
    })
    ->run();
