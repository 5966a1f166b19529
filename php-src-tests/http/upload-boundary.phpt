--TEST--
The boundary of a form: quoted, odd, missing, malformed
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$form = fn (string $type, string $boundary = 'edge') => post(
    "--$boundary\r\n" . field('a', '1') . "\r\n--$boundary\r\n" . upload('f', 'a.txt', 'x') . "\r\n--$boundary--\r\n",
    '/',
    $type,
);
served([
    'in quotes' => $form('multipart/form-data; boundary="edge"'),
    'a space in quotes' => $form('multipart/form-data; boundary="ed ge"', 'ed ge'),
    'a comma in quotes' => $form('multipart/form-data; boundary="ed,ge"', 'ed,ge'),
    'an open quote' => $form('multipart/form-data; boundary="edge'),
    'empty quotes' => $form('multipart/form-data; boundary=""', ''),
    'something behind a comma' => $form('multipart/form-data; boundary=edge, more'),
    'something behind a semicolon' => $form('multipart/form-data; boundary=edge; charset=utf-8'),
    'something in front' => $form('multipart/form-data; charset=utf-8; boundary=edge'),
    'many hyphens' => $form('multipart/form-data; boundary=----------edge', '----------edge'),
    'capitals' => $form('Multipart/Form-Data; BOUNDARY=edge'),
    'no space' => $form('multipart/form-data;boundary=edge'),
    'none' => $form('multipart/form-data'),
    'none but a semicolon' => $form('multipart/form-data;'),
    'no value' => $form('multipart/form-data; boundary'),
    'an empty value' => $form('multipart/form-data; boundary=', ''),
    'another one' => $form('multipart/form-data; boundary=other'),
    'a part of it' => $form('multipart/form-data; boundary=edg'),
    'very long' => $form('multipart/form-data; boundary=' . str_repeat('b', 5200), str_repeat('b', 5200)),
    'not of a form' => $form('multipart/mixed; boundary=edge'),
]);
?>
--EXPECT--
-- in quotes
POST {"a":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"x","error":0,"size":1}}
-- a space in quotes
POST {"a":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"x","error":0,"size":1}}
-- a comma in quotes
POST {"a":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"x","error":0,"size":1}}
-- an open quote
Warning: Invalid boundary in multipart/form-data POST data in Unknown on line 0
input 164 bytes
-- empty quotes
POST {"a":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"x","error":0,"size":1}}
-- something behind a comma
POST {"a":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"x","error":0,"size":1}}
-- something behind a semicolon
POST {"a":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"x","error":0,"size":1}}
-- something in front
POST {"a":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"x","error":0,"size":1}}
-- many hyphens
POST {"a":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"x","error":0,"size":1}}
-- capitals
POST {"a":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"x","error":0,"size":1}}
-- no space
POST {"a":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"x","error":0,"size":1}}
-- none
Warning: Missing boundary in multipart/form-data POST data in Unknown on line 0
input 164 bytes
-- none but a semicolon
Warning: Missing boundary in multipart/form-data POST data in Unknown on line 0
input 164 bytes
-- no value
Warning: Missing boundary in multipart/form-data POST data in Unknown on line 0
input 164 bytes
-- an empty value
POST {"a":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"x","error":0,"size":1}}
-- another one
-- a part of it
-- very long
Warning: Boundary too large in multipart/form-data POST data in Unknown on line 0
input 15752 bytes
-- not of a form
input 164 bytes
