<?php

// Calls what Symfony's runners for FrankenPHP call, in their order.

final class Runner
{
    public function __construct(private int $loopMax)
    {
    }

    public function run(): int
    {
        ignore_user_abort(true);
        $server = array_filter($_SERVER, static fn (string $key) => !str_starts_with($key, 'HTTP_'), ARRAY_FILTER_USE_KEY);
        $server['APP_RUNTIME_MODE'] = 'web=1&worker=1';
        $handler = function () use ($server, &$request, &$response): void {
            $_SERVER += $server;
            $request = $_SERVER['REQUEST_URI'];
            $response = ['uri' => $request, 'method' => $_SERVER['REQUEST_METHOD'], 'mode' => $_SERVER['APP_RUNTIME_MODE'],
                'secret' => $_SERVER['OF_DOTENV'] ?? null, 'script' => $_SERVER['SCRIPT_NAME'], 'address' => $_SERVER['REMOTE_ADDR'],
                'own' => $_SERVER['HTTP_X_OWN'] ?? null, 'pid' => getmypid()];
            header('Link: </style.css>; rel=preload; as=style', true, 103);
            headers_send(103);
            header('HTTP/1.0 200 OK', true, 200);
            header('Content-Type: application/json');
            echo json_encode($response);
            frankenphp_finish_request();
        };
        $loops = 0;
        do {
            $ret = frankenphp_handle_request($handler);
            if ($request && $response) {
                file_put_contents(__DIR__ . '/terminated', "$request\n", FILE_APPEND);
            }
            gc_collect_cycles();
        } while ($ret && (-1 === $this->loopMax || ++$loops < $this->loopMax));
        return 0;
    }
}

$_SERVER['OF_DOTENV'] = $_ENV['OF_DOTENV'] = 'words';
exit((new Runner((int) ($_SERVER['FRANKENPHP_LOOP_MAX'] ?? 500)))->run());
