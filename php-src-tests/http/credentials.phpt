--TEST--
Credentials of the request
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$script = <<<'PHP'
<?php
foreach (['PHP_AUTH_USER', 'PHP_AUTH_PW', 'PHP_AUTH_DIGEST', 'AUTH_TYPE'] as $name) {
    echo json_encode($_SERVER[$name] ?? null), ' ';
}
PHP;
$with = fn (string $value) => get('/', "Authorization: $value");
served([
    'basic' => $with('Basic ' . base64_encode('user:pass:word')),
    'no password' => $with('Basic ' . base64_encode('user')),
    'an empty one' => $with('Basic ' . base64_encode('user:')),
    'small letters' => $with('basic ' . base64_encode('user:word')),
    'garbage' => $with('Basic !!!'),
    'digest' => $with('Digest username="u", realm="r"'),
    'a token' => $with('Bearer abc'),
    'none' => get('/'),
], [], $script);
?>
--EXPECT--
-- basic
"user" "pass:word" null null 
-- no password
null null null null 
-- an empty one
"user" null null null 
-- small letters
"user" "word" null null 
-- garbage
null null null null 
-- digest
null null "username=\"u\", realm=\"r\"" null 
-- a token
null null null null 
-- none
null null null null 
