--TEST--
post_max_size: what is longer is not read as a form
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served(
    [
        'at the limit' => post('a=' . str_repeat('x', 198)),
        'over it' => post('a=' . str_repeat('x', 199)),
        'JSON over it' => post(str_repeat(' ', 201), '/', 'application/json'),
        'a small one goes on' => post('a=1', '/?b=2'),
        'a form of parts' => form([field('a', '1')]),
        'a form of parts over it' => form([field('a', str_repeat('x', 300))], target: '/?b=2'),
        'and after it' => form([field('a', '2')]),
    ],
    ['post_max_size' => 200],
    <<<'PHP'
    <?php
    echo json_encode([$_GET, array_map(strlen(...), $_POST), $_FILES]), "\n";
    PHP,
);
?>
--EXPECT--
-- at the limit
[[],{"a":198},[]]
-- over it
Warning: PHP Request Startup: POST Content-Length of 201 bytes exceeds the limit of 200 bytes in Unknown on line 0
[[],[],[]]
-- JSON over it
Warning: PHP Request Startup: POST Content-Length of 201 bytes exceeds the limit of 200 bytes in Unknown on line 0
[[],[],[]]
-- a small one goes on
[{"b":"2"},{"a":1},[]]
-- a form of parts
[[],{"a":1},[]]
-- a form of parts over it
Warning: POST Content-Length of 364 bytes exceeds the limit of 200 bytes in Unknown on line 0
[{"b":"2"},[],[]]
-- and after it
[[],{"a":1},[]]
