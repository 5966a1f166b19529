--TEST--
enable_post_data_reading=0: php://input is read as it arrives
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$script = <<<'PHP'
<?php
$one = fopen('php://input', 'r');
$two = fopen('php://input', 'r');
echo json_encode([fread($one, 3), fread($one, 3), fread($two, 3), stream_get_contents($one), stream_get_contents($two)]), "\n";
echo strlen(file_get_contents('php://input')), ' ', json_encode($_POST), "\n";
PHP;
served(
    ['short' => post('a=1&b=2&c=3'), 'text' => post('0123456789', '/', 'text/plain')],
    ['enable_post_data_reading' => 0],
    $script,
);
?>
--EXPECT--
-- short
["a=1","&b=","a=1","2&c=3","&b=2&c=3"]
11 []
-- text
["012","345","012","6789","3456789"]
10 []
