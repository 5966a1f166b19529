--TEST--
register_argc_argv: arguments in the query
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$script = <<<'PHP'
<?php
echo json_encode([$_SERVER['argc'] ?? null, $_SERVER['argv'] ?? null]), "\n";
PHP;
$requests = ['words' => get('/?ab+cd+ef+123+test'), 'one' => get('/?a=1'), 'none' => get('/'), 'encoded' => get('/?a%20b+c')];
served($requests, ['register_argc_argv' => 1], $script);
echo "register_argc_argv=0\n";
served($requests, ['register_argc_argv' => 0], $script);
?>
--EXPECT--
-- words
[5,["ab","cd","ef","123","test"]]
-- one
[1,["a=1"]]
-- none
[0,[]]
-- encoded
[2,["a%20b","c"]]
register_argc_argv=0
-- words
[null,null]
-- one
[null,null]
-- none
[null,null]
-- encoded
[null,null]
