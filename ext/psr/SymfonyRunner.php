<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use RoadRunner\Server;
use Symfony\Component\HttpKernel\HttpKernelInterface;
use Symfony\Component\HttpKernel\KernelInterface;
use Symfony\Component\Runtime\RunnerInterface;

/**
 * Serves a kernel with the settings of `.rr.yaml` in the project's folder, or else those of the environment:
 * `HTTP_ADDRESS` (127.0.0.1:8080) and `NUM_WORKERS` (as many as there are processors).
 *
 * @internal
 */
final class SymfonyRunner implements RunnerInterface
{
    public function __construct(private HttpKernelInterface $kernel, private ?string $folder)
    {
    }

    public function run(): int
    {
        $kernel = $this->kernel;
        $folder = $this->folder ?? ($kernel instanceof KernelInterface ? $kernel->getProjectDir() : \getcwd());
        $file = "$folder/.rr.yaml";
        $address = null;
        if (\is_file($file)) {
            $server = Server::fromFile($file);
        } else {
            $server = Server::create();
            $address = self::setting('HTTP_ADDRESS') ?? '127.0.0.1:8080';
            $workers = self::setting('NUM_WORKERS');
            if ($workers !== null) {
                $server->set('http.address', $address);
                $server->set('http.pool.num_workers', (int) $workers);
            }
        }
        return $server->http($address, $kernel)->run();
    }

    private static function setting(string $name): ?string
    {
        $value = $_SERVER[$name] ?? $_ENV[$name] ?? \getenv($name);
        return \is_string($value) && $value !== '' ? $value : null;
    }
}
