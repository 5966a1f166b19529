--TEST--
Fields and files of one form
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served([
    'the same name' => form([field('a', '1'), upload('a', 'a.txt', '2'), field('a', '3')]),
    'arrays' => form([field('a[]', '1'), upload('a[]', 'a.txt', '2'), field('a[]', '3'), field('b[x][y]', '4')]),
    'an empty field' => form([field('a', ''), field('', '1'), field('b', "\r\n")]),
    'nothing is decoded' => form([field('a%20b', 'c%20d+e'), field('f', '&g=h')]),
    'bytes' => form([field('a', "x\0y\xff"), field("b\0c", '1')]),
    'a type of its own' => form(["Content-Disposition: form-data; name=\"a\"\r\nContent-Type: application/json\r\n\r\n{\"b\":1}"]),
    'in the query too' => form([field('a', 'form')], target: '/?a=query&b=2'),
]);
?>
--EXPECT--
-- the same name
POST {"a":"3"}
FILES {"a":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"2","error":0,"size":1}}
-- arrays
POST {"a":["1","3"],"b":{"x":{"y":"4"}}}
FILES {"a":{"name":["a.txt"],"full_path":["a.txt"],"type":["text/plain"],"tmp_name":["2"],"error":[0],"size":[1]}}
-- an empty field
POST {"a":"","b":"\r\n"}
-- nothing is decoded
POST {"a%20b":"c%20d+e","f":"&g=h"}
-- bytes
POST {"a":"x\u0000y�","b":"1"}
-- a type of its own
POST {"a":"{\"b\":1}"}
-- in the query too
GET {"a":"query","b":"2"}
POST {"a":"form"}
