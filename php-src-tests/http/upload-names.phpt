--TEST--
Names of files
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$names = [
    'a path' => 'dir/sub/a.txt',
    'a path of Windows' => 'C:\dir\a.txt',
    'upwards' => '../../a.txt',
    'a folder only' => 'dir/',
    'an escaped quote' => 'a\"b.txt',
    'an escaped backslash' => 'a\\\\b.txt',
    'a single quote' => "a'b.txt",
    'a semicolon' => 'a;b.txt',
    'percent' => 'a%20b.txt',
    'UTF-8' => "\u{fc}ber \u{1F600}.txt",
    'a byte of Latin-1' => "\xfcber.txt",
    'a NUL' => "a\0b.txt",
    'spaces' => ' a b ',
    'long' => str_repeat('n', 300),
];
served(array_map(fn (string $name) => form([upload('f', $name, '1')]), $names));
?>
--EXPECT--
-- a path
FILES {"f":{"name":"a.txt","full_path":"dir/sub/a.txt","type":"text/plain","tmp_name":"1","error":0,"size":1}}
-- a path of Windows
FILES {"f":{"name":"a.txt","full_path":"C:\\dir\\a.txt","type":"text/plain","tmp_name":"1","error":0,"size":1}}
-- upwards
FILES {"f":{"name":"a.txt","full_path":"../../a.txt","type":"text/plain","tmp_name":"1","error":0,"size":1}}
-- a folder only
FILES {"f":{"name":"","full_path":"dir/","type":"text/plain","tmp_name":"1","error":0,"size":1}}
-- an escaped quote
FILES {"f":{"name":"a\"b.txt","full_path":"a\"b.txt","type":"text/plain","tmp_name":"1","error":0,"size":1}}
-- an escaped backslash
FILES {"f":{"name":"b.txt","full_path":"a\\b.txt","type":"text/plain","tmp_name":"1","error":0,"size":1}}
-- a single quote
FILES {"f":{"name":"a'b.txt","full_path":"a'b.txt","type":"text/plain","tmp_name":"1","error":0,"size":1}}
-- a semicolon
FILES {"f":{"name":"a;b.txt","full_path":"a;b.txt","type":"text/plain","tmp_name":"1","error":0,"size":1}}
-- percent
FILES {"f":{"name":"a%20b.txt","full_path":"a%20b.txt","type":"text/plain","tmp_name":"1","error":0,"size":1}}
-- UTF-8
FILES {"f":{"name":"über 😀.txt","full_path":"über 😀.txt","type":"text/plain","tmp_name":"1","error":0,"size":1}}
-- a byte of Latin-1
FILES {"f":{"name":"�ber.txt","full_path":"�ber.txt","type":"text/plain","tmp_name":"1","error":0,"size":1}}
-- a NUL
FILES {"f":{"name":"a","full_path":"a","type":"text/plain","tmp_name":"1","error":0,"size":1}}
-- spaces
FILES {"f":{"name":" a b ","full_path":" a b ","type":"text/plain","tmp_name":"1","error":0,"size":1}}
-- long
FILES {"f":{"name":"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn","full_path":"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn","type":"text/plain","tmp_name":"1","error":0,"size":1}}
