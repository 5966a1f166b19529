--TEST--
Bodies of other methods than POST are never forms
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$type = 'Content-Type: application/x-www-form-urlencoded';
$part = "--edge\r\n" . field('a', '1') . "\r\n--edge--\r\n";
$script = <<<'PHP'
<?php
echo json_encode([$_SERVER['REQUEST_METHOD'], $_GET, $_POST, $_FILES, file_get_contents('php://input')]), "\n";
PHP;
served([
    'PUT' => request('PUT', '/?q=1', 'a=1', $type),
    'PATCH' => request('PATCH', '/', 'a=1', $type),
    'DELETE' => request('DELETE', '/', 'a=1', $type),
    'OPTIONS' => request('OPTIONS', '/', 'a=1', $type),
    'of its own' => request('PURGE', '/', 'a=1', $type),
    'PUT of parts' => request('PUT', '/', $part, 'Content-Type: multipart/form-data; boundary=edge'),
    'POST' => request('POST', '/?q=1', 'a=1', $type),
], [], $script);
?>
--EXPECT--
-- PUT
["PUT",{"q":"1"},[],[],"a=1"]
-- PATCH
["PATCH",[],[],[],"a=1"]
-- DELETE
["DELETE",[],[],[],"a=1"]
-- OPTIONS
["OPTIONS",[],[],[],"a=1"]
-- of its own
["PURGE",[],[],[],"a=1"]
-- PUT of parts
["PUT",[],[],[],"--edge\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--edge--\r\n"]
-- POST
["POST",{"q":"1"},{"a":"1"},[],"a=1"]
