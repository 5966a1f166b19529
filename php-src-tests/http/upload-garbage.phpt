--TEST--
Bodies that are no form
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$body = fn (string $body) => post($body, '/', 'multipart/form-data; boundary=edge');
$part = upload('f', 'a.txt', 'content');
served([
    'no boundary' => $body('just text'),
    'a boundary only' => $body('--edge'),
    'a boundary and a line end' => $body("--edge\r\n"),
    'the end only' => $body("--edge--\r\n"),
    'another boundary' => $body("--other\r\n$part\r\n--other--\r\n"),
    'text in front' => $body("text\r\n--edge\r\n$part\r\n--edge--\r\n"),
    'a part behind the end' => $body("--edge\r\n$part\r\n--edge--\r\n--edge\r\n" . field('b', '1') . "\r\n--edge--\r\n"),
    'line feeds only' => $body(strtr("--edge\r\n$part\r\n--edge--\r\n", ["\r\n" => "\n"])),
    'no line end at the end' => $body("--edge\r\n$part\r\n--edge--"),
    'no hyphens in front' => $body("edge\r\n$part\r\nedge--\r\n"),
    'nothing' => $body(''),
    'zeros' => $body(str_repeat("\0", 200)),
]);
?>
--EXPECT--
-- no boundary
-- a boundary only
-- a boundary and a line end
-- the end only
-- another boundary
-- text in front
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"content","error":0,"size":7}}
-- a part behind the end
POST {"b":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"content","error":0,"size":7}}
-- line feeds only
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"content","error":0,"size":7}}
-- no line end at the end
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"content","error":0,"size":7}}
-- no hyphens in front
-- nothing
-- zeros
