<?php
// The heavy application in a process of its own, as an exec'ed worker holds it: boot, work, wait for stdin to close.
declare(strict_types=1);

require __DIR__ . '/app.php';

$app = build_app();
for ($i = 0; $i < 20; $i++) {
    $app->work();
}
fwrite(STDOUT, sprintf("ready %d\n", memory_get_usage()));
fgets(STDIN);
