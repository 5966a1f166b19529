<?php
// The web part: MODE is globals (a function in a living worker), files (index.php in one), classic or snapshot.
declare(strict_types=1);

$server = RoadRunner\Server::create(['http' => ['pool' => ['num_workers' => (int) getenv('NUM_WORKERS')]]]);
$mode = getenv('MODE');
if ($mode === 'globals') {
    $server->globals(getenv('HTTP_ADDRESS'), function (): void {
        echo 'Hello, World!';
    });
} else {
    $server->files(getenv('HTTP_ADDRESS'), __DIR__ . '/web', $mode === 'files' ? 'globals' : $mode);
}
if ($mode === 'snapshot') {
    // 64 MB that every fork has.
    $server->boot(function (): array {
        $held = [];
        for ($i = 0; $i < 64; $i++) {
            $held[] = str_repeat(chr(65 + $i % 26), 1 << 20);
        }
        return $held;
    });
}
$server->run();
