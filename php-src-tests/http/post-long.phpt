--TEST--
Long bodies
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$script = <<<'PHP'
<?php
echo json_encode([array_map(fn ($text) => [strlen($text), crc32($text)], $_POST), strlen($body = file_get_contents('php://input')), crc32($body)]), "\n";
PHP;
$text = fn (int $length) => substr(str_repeat('0123456789abcdefghijklmnopqrstuvwxyz', intdiv($length, 36) + 1), 0, $length);
foreach ([8190, 16384, 65537, 1 << 20] as $length) {
    $requests["a form of $length"] = post('a=' . $text($length) . '&b=end');
    $requests["text of $length"] = post($text($length), '/', 'text/plain');
}
served($requests, [], $script);
?>
--EXPECT--
-- a form of 8190
[{"a":[8190,1241465111],"b":[3,16528305]},8198,1794074674]
-- text of 8190
[[],8190,1241465111]
-- a form of 16384
[{"a":[16384,3795906888],"b":[3,16528305]},16392,2696630072]
-- text of 16384
[[],16384,3795906888]
-- a form of 65537
[{"a":[65537,1202896292],"b":[3,16528305]},65545,4168472336]
-- text of 65537
[[],65537,1202896292]
-- a form of 1048576
[{"a":[1048576,4243823348],"b":[3,16528305]},1048584,4004183905]
-- text of 1048576
[[],1048576,4243823348]
