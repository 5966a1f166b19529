--TEST--
A request finds nothing of the one before
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served([
    'everything' => request('POST', '/?g=1', 'p=1', 'Content-Type: application/x-www-form-urlencoded', 'Cookie: c=1'),
    'nothing' => get('/'),
    'a file' => form([upload('f', 'a.txt', '1')]),
    'nothing again' => post(''),
    'a body that nobody reads' => post('text', '/?silent', 'text/plain'),
    'nothing at last' => get('/'),
]);
?>
--EXPECT--
-- everything
GET {"g":"1"}
POST {"p":"1"}
COOKIE {"c":"1"}
input "p=1"
-- nothing
-- a file
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"1","error":0,"size":1}}
-- nothing again
-- a body that nobody reads
GET {"silent":""}
input "text"
-- nothing at last
