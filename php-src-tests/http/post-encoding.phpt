--TEST--
Percent, plus, NUL and other bytes
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served([
    'percent' => post('a=%41%62%63&%62=1'),
    'a plus' => post('a=1+2%2B3'),
    'malformed' => post('a=%&b=%4&c=%zz&d=100%'),
    'UTF-8' => post("a=\u{fc}&b=%C3%BC&%E2%82%AC=1"),
    'bytes that are no UTF-8' => post('a=x%FFy%80'),
    'a NUL in a value' => post('a=x%00y&b=1'),
    'a NUL in a name' => post('a%00b=1&c=2'),
    'a NUL first in a name' => post('%00a=1&c=2'),
    'a NUL as it is' => post("a=x\0y&b\0c=2"),
    'an encoded separator' => post('a=1%26b=2&c%3Dd=3'),
    'a semicolon' => post('a=1;b=2'),
    'a carriage return' => post('a=%0D%0Ab'),
]);
?>
--EXPECT--
-- percent
POST {"a":"Abc","b":"1"}
input "a=%41%62%63&%62=1"
-- a plus
POST {"a":"1 2+3"}
input "a=1+2%2B3"
-- malformed
POST {"a":"%","b":"%4","c":"%zz","d":"100%"}
input "a=%&b=%4&c=%zz&d=100%"
-- UTF-8
POST {"a":"ü","b":"ü","€":"1"}
input "a=ü&b=%C3%BC&%E2%82%AC=1"
-- bytes that are no UTF-8
POST {"a":"x�y�"}
input "a=x%FFy%80"
-- a NUL in a value
POST {"a":"x\u0000y","b":"1"}
input "a=x%00y&b=1"
-- a NUL in a name
POST {"a":"1","c":"2"}
input "a%00b=1&c=2"
-- a NUL first in a name
POST {"c":"2"}
input "%00a=1&c=2"
-- a NUL as it is
POST {"a":"x\u0000y","b":"2"}
input "a=x\u0000y&b\u0000c=2"
-- an encoded separator
POST {"a":"1&b=2","c=d":"3"}
input "a=1%26b=2&c%3Dd=3"
-- a semicolon
POST {"a":"1;b=2"}
input "a=1;b=2"
-- a carriage return
POST {"a":"\r\nb"}
input "a=%0D%0Ab"
