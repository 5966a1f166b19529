<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use Symfony\Component\HttpKernel\HttpKernelInterface;
use Symfony\Component\Runtime\RunnerInterface;
use Symfony\Component\Runtime\SymfonyRuntime as Runtime;

/**
 * Makes a server of `public/index.php`:
 * `APP_RUNTIME='RoadRunner\Psr\SymfonyRuntime' php -d extension=roadrunner.so public/index.php`.
 *
 * Console applications run as ever.
 */
class SymfonyRuntime extends Runtime
{
    public function getRunner(?object $application): RunnerInterface
    {
        if ($application instanceof HttpKernelInterface && \PHP_SAPI === 'cli') {
            return new SymfonyRunner($application, $this->options['project_dir'] ?? null);
        }
        return parent::getRunner($application);
    }
}
