<?php
// The heavy application in our server: booted once in the zygote, shared by every worker.
declare(strict_types=1);

use RoadRunner\{Request, Response, Server};

require __DIR__ . '/app.php';

Server::create([
    'logs' => ['level' => getenv('LOG_LEVEL') ?: 'info'],
    'http' => ['pool' => ['num_workers' => (int) (getenv('NUM_WORKERS') ?: 0)]],
])
    ->boot(fn () => build_app())
    ->http(getenv('HTTP_ADDRESS') ?: '127.0.0.1:8080', function (Request $r, HeavyApp $app): Response {
        if ($r->path() === '/hit') {
            $app->work();
            usleep(5000); // long enough that the next request needs another worker
        }

        return new Response((string) getmypid(), 200, ['Content-Type' => 'text/plain']);
    })
    ->run();
