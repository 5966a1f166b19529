--TEST--
move_uploaded_file() takes what was uploaded, once, and nothing else
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$script = <<<'PHP'
<?php
$path = $_FILES['f']['tmp_name'];
$new = __DIR__ . '/moved';
printf("mode %o, %d bytes\n", fileperms($path) & 0777, filesize($path));
var_dump(is_uploaded_file($path), is_uploaded_file(__FILE__), is_uploaded_file("$path.x"));
var_dump(move_uploaded_file(__FILE__, $new), file_exists($new));
var_dump(move_uploaded_file($path, $new), file_get_contents($new), file_exists($path));
var_dump(is_uploaded_file($path), is_uploaded_file($new), move_uploaded_file($new, $path));
unlink($new);
PHP;
served(['a file' => form([upload('f', 'a.txt', 'content')])], [], $script);
?>
--EXPECT--
-- a file
mode 600, 7 bytes
bool(true)
bool(false)
bool(false)
bool(false)
bool(false)
bool(true)
string(7) "content"
bool(false)
bool(false)
bool(false)
bool(false)
