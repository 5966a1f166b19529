<?php
// The app of app.php behind our server.
declare(strict_types=1);

require __DIR__ . '/app.php';

RoadRunner\Server::create(['http' => ['pool' => ['num_workers' => (int) getenv('NUM_WORKERS')]]])
    ->boot(fn (): Closure => app())
    ->psr(getenv('HTTP_ADDRESS'), fn (Closure $app): RoadRunner\Psr\RequestHandler => new RoadRunner\Psr\RequestHandler($app))
    ->run();
