--TEST--
php://input in two streams at once, longer than their buffers
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$script = <<<'PHP'
<?php
$one = fopen('php://input', 'r');
$two = fopen('php://input', 'r');
for ($lines = $same = 0; ($line = fgets($one)) !== false; $lines++) {
    $same += $line === fgets($two) && $line === sprintf("%06d %s\n", $lines, str_repeat('x', 92));
}
var_dump($lines, $same, fgets($two));
PHP;
$text = implode(array_map(fn (int $line) => sprintf("%06d %s\n", $line, str_repeat('x', 92)), range(0, 399)));
served(['400 lines' => post($text, '/', 'application/unknown')], [], $script);
?>
--EXPECT--
-- 400 lines
int(400)
int(400)
bool(false)
