<?php

/** Runs a suite of php-cache/integration-tests in this process, which is a worker; its exit code and what it says. */
return function (string $suite): string {
    require_once 'PHPUnit/Autoload.php';
    require_once 'Psr/SimpleCache/autoload.php';
    require_once 'Symfony/Component/Cache/autoload.php';
    require_once 'Cache/IntegrationTests/autoload.php';
    ob_start();
    $arguments = ['phpunit', '--no-configuration', '--do-not-cache-result', __DIR__ . "/{$suite}Test.php"];
    $code = (new PHPUnit\TextUI\Command())->run($arguments, false);
    return "$code\n" . ob_get_clean();
};
