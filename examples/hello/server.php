<?php
// The smallest useful server. Start it with scripts/serve, or:
//   php -d extension=roadrunner.so examples/hello/server.php

use RoadRunner\{Request, Response, Server};

$settings = [
    'logs' => ['level' => getenv('LOG_LEVEL') ?: 'info'],
    'http' => ['pool' => ['num_workers' => (int) (getenv('NUM_WORKERS') ?: 0)]],
];
$text = ['Content-Type' => 'text/plain'];

Server::create($settings)
    ->boot(fn () => (object) ['big' => str_repeat('0123456789abcdef', 4096)])
    ->http(getenv('HTTP_ADDRESS') ?: '127.0.0.1:8080', function (Request $request, object $app) use ($text): Response {
        switch ($request->path()) {
            case '/':
                return new Response('Hello, World!', 200, $text);
            case '/json':
                $array = ['message' => 'Hello, World!', 'numbers' => [1, 2, 3]];
                return new Response(json_encode($array), 200, ['Content-Type' => 'application/json']);
            case '/echo':
                return new Response($request->body(), 200, $text);
            case '/big':
                return new Response($app->big, 200, $text);
            case '/sleep':
                usleep(1000 * (int) ($request->query()['ms'] ?? 100));
                return new Response('slept', 200, $text);
            case '/boom':
                throw new RuntimeException('boom');
            case '/fatal':
                // A class declared twice is an error that no catch block sees.
                eval('class Twice {} class Twice {}');
                // no break
            case '/exit':
                exit('bye');
            case '/kill':
                posix_kill(getmypid(), SIGKILL);
                // no break
            case '/pid':
                return new Response((string) getmypid(), 200, $text);
        }
        return new Response("Not Found\n", 404, $text);
    })
    ->run();
