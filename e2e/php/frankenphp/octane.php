<?php

// Calls what Laravel Octane's worker calls, in its order.

if ((!($_SERVER['FRANKENPHP_WORKER'] ?? false)) || !function_exists('frankenphp_handle_request')) {
    echo 'FrankenPHP must be in worker mode to use this script.';
    exit(1);
}
ignore_user_abort(true);

final class Worker
{
    public int $handled = 0;

    public function handle(): void
    {
        $this->handled++;
        match ($_GET['do'] ?? '') {
            'throw' => throw new RuntimeException('secret words'),
            'busy' => (function () { while (true) { } })(),
            'exit' => exit,
            default => null,
        };
        header('Content-Type: text/plain');
        printf("%d %d %s %s", $this->handled, getmypid(), getenv('APP_ENV'), $_SERVER['APP_ENV']);
    }

    public function terminate(): void
    {
        file_put_contents(__DIR__ . '/terminated', getmypid() . " {$this->handled}\n", FILE_APPEND);
    }
}

try {
    $worker = new Worker();
    if (getenv('BROKEN')) {
        throw new LogicException('it does not boot');
    }
} catch (Throwable $error) {
    fwrite(STDERR, '[bootstrap] ' . $error->getMessage() . "\n");
    exit(1);
}
$requestCount = 0;
$maxRequests = $_ENV['MAX_REQUESTS'] ?? $_SERVER['MAX_REQUESTS'] ?? 1000;
$limit = $_ENV['REQUEST_MAX_EXECUTION_TIME'] ?? $_SERVER['REQUEST_MAX_EXECUTION_TIME'] ?? null;
if (PHP_OS_FAMILY === 'Linux' && $limit !== null) {
    set_time_limit((int) $limit);
}
try {
    $handleRequest = static function () use ($worker) {
        try {
            $worker->handle();
        } catch (Throwable $error) {
            fwrite(STDERR, json_encode(['type' => 'throwable', 'message' => $error->getMessage()]) . "\n");
            http_response_code(500);
            header('Status: 500 Internal Server Error');
            header('Content-Type: text/plain');
            echo 'Internal Server Error: ', get_class($error);
        }
    };
    while ($requestCount < $maxRequests && frankenphp_handle_request($handleRequest)) {
        $requestCount++;
    }
} finally {
    $worker?->terminate();
    gc_collect_cycles();
}
