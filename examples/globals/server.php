<?php
// Serves index.php of this folder. MODE: globals (a living worker), classic (as php-fpm) or snapshot (a fresh fork
// for each request). HTTP_ADDRESS and NUM_WORKERS as in the other examples.

declare(strict_types=1);

use RoadRunner\Server;

Server::create(['http' => ['pool' => ['num_workers' => (int) (getenv('NUM_WORKERS') ?: 0)]]])
    ->files(getenv('HTTP_ADDRESS') ?: '127.0.0.1:8080', __DIR__, getenv('MODE') ?: 'globals')
    ->run();
