<?php

// Calls what CodeIgniter's worker entry calls, in its order, with an app of our own.

namespace Frame {
    const BOOTED = 'yes';

    function of_the_file(): string
    {
        return 'declared once';
    }

    /** The app: what it boots, and what it does for each request. */
    final class App
    {
        public array $services = [];
        public bool $web;

        public static function boot(): self
        {
            set_error_handler(function (int $level, string $text, string $file, int $line) {
                throw new \ErrorException($text, 0, $level, $file, $line);
            });
            set_exception_handler(fn (\Throwable $error) => print('handled ' . $error->getMessage()));
            register_shutdown_function(function () {
                $error = error_get_last();
                file_put_contents('shutdown', getcwd() . ' ' . ($error['message'] ?? 'no error') . "\n", FILE_APPEND);
                if (($error['type'] ?? 0) === E_ERROR) {
                    http_response_code(500);
                    echo 'a page of the app';
                }
            });
            date_default_timezone_set('Asia/Tokyo');
            ini_set('precision', '5');
            setlocale(LC_CTYPE, 'C.UTF-8');
            ob_start();
            echo 'printed while booting';
            $app = new self();
            $app->web = PHP_SAPI !== 'cli' && (isset($_SERVER['REMOTE_ADDR']) || isset($_SERVER['REQUEST_METHOD']));
            return $app;
        }

        public function run(): void
        {
            static $count = 0;
            $what = $_GET['do'] ?? '';
            match ($what) {
                'session' => $this->session(),
                'throw' => throw new \RuntimeException('thrown'),
                'warn' => print($undefined),
                'exit' => exit('left'),
                'fatal' => $this->eat(),
                'buffer' => ob_start(fn (string $text) => strtoupper($text)) && print('shout'),
                'change' => $this->change(),
                default => null,
            };
            if ($what === '' || $what === 'change') {
                header('Content-Type: application/json');
                echo json_encode([
                    'n' => ++$count, 'web' => $this->web, 'services' => $this->services, 'server' => $this->services['server']['X'] ?? null,
                    'get' => $_GET, 'post' => $_POST, 'cookie' => $_COOKIE, 'files' => array_column($_FILES, 'name'), 'request' => $_REQUEST,
                    'uri' => $_SERVER['REQUEST_URI'], 'own' => $_SERVER['HTTP_X_OWN'] ?? null, 'input' => file_get_contents('php://input'),
                    'zone' => date_default_timezone_get(), 'precision' => ini_get('precision'), 'abort' => ini_get('ignore_user_abort'),
                    'cwd' => getcwd(), 'arguments' => func_num_args(), 'declared' => of_the_file(), 'level' => ob_get_level(), 'pid' => getmypid(),
                    'env' => $_SERVER['OF_THE_SERVER'] ?? null, 'worker' => $_SERVER['FRANKENPHP_WORKER'] ?? null, 'session' => isset($_SESSION),
                ]);
            }
        }

        private function session(): void
        {
            session_start();
            echo $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;
        }

        private function change(): void
        {
            ini_set('precision', '3');
            date_default_timezone_set('UTC');
            chdir('/');
            restore_error_handler();
            set_exception_handler(null);
            $_GET['left'] = $_SERVER['LEFT'] = 'behind';
            putenv('LEFT=1');
        }

        private function eat(): void
        {
            ini_set('memory_limit', '16M');
            str_repeat('x', 64 << 20);
        }
    }
}

namespace {
    use Frame\App;

    define('FCPATH', __DIR__ . DIRECTORY_SEPARATOR);
    if (getcwd() . DIRECTORY_SEPARATOR !== FCPATH) {
        chdir(FCPATH);
    }
    $app = App::boot();
    ignore_user_abort(true);
    $handler = static function () use ($app) {
        $app->services = ['server' => $_SERVER, 'of' => $_SERVER['REQUEST_URI']];
        unset($app->services['server']);
        try {
            $app->run(...func_get_args());
        } catch (Throwable $error) {
            http_response_code(500);
            echo get_class($error), ': ', $error->getMessage();
        }
        gc_collect_cycles();
    };
    while (frankenphp_handle_request($handler)) {
        if (session_status() === PHP_SESSION_ACTIVE) {
            session_write_close();
        }
        // What is printed here is nobody's; the superglobals are those of the request still.
        ob_start();
        echo 'after ', $_SERVER['REQUEST_URI'];
        $app->services = [];
    }
    file_put_contents('ended', "in order\n");
}
