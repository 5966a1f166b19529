--TEST--
php://input: what it holds, and how often it can be read
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$script = <<<'PHP'
<?php
$first = fopen('php://input', 'r');
$second = fopen('php://input', 'r');
echo json_encode([fread($first, 4), fread($second, 2), fread($first, 4), stream_get_contents($second)]), "\n";
var_dump(feof($second), rewind($second), fgets($second), fseek($first, 2), ftell($first), fread($first, 3));
var_dump(@fwrite($first, 'x'), stream_get_meta_data($first)['mode'], strlen(file_get_contents('php://input')));
echo json_encode($_POST), "\n";
PHP;
served([
    'text' => post("first line\nsecond line\n", '/', 'text/plain'),
    'a form' => post('a=first+value&b=second'),
    'parts' => form([field('a', '1')]),
    'nothing' => post('', '/', 'text/plain'),
], [], $script);
?>
--EXPECT--
-- text
["firs","fi","t li","rst line\nsecond line\n"]
bool(true)
bool(true)
string(11) "first line
"
int(0)
int(2)
string(3) "rst"
bool(false)
string(2) "rb"
int(23)
[]
-- a form
["a=fi","a=","rst+","first+value&b=second"]
bool(true)
bool(true)
string(22) "a=first+value&b=second"
int(0)
int(2)
string(3) "fir"
bool(false)
string(2) "rb"
int(22)
{"a":"first value","b":"second"}
-- parts
["","","",""]
bool(true)
bool(true)
bool(false)
int(-1)
bool(false)
string(0) ""
bool(false)
string(2) "rb"
int(0)
{"a":"1"}
-- nothing
["","","",""]
bool(true)
bool(true)
bool(false)
int(-1)
bool(false)
string(0) ""
bool(false)
string(2) "rb"
int(0)
[]
