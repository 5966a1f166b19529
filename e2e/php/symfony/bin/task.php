<?php

require_once dirname(__DIR__) . '/vendor/autoload_runtime.php';

return static fn (array $argv) => static function () use ($argv): int {
    echo 'task ', $argv[1] ?? '', PHP_EOL;
    return 3;
};
