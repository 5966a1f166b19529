--TEST--
Forms in application/x-www-form-urlencoded
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served([
    'one' => post('a=Hello+World'),
    'two' => post('a=Hello+World&b=Hello+Again+World'),
    'three' => post('a=1&b=2&c=3'),
    'the same twice' => post('a=1&a=2'),
    'no value' => post('a&b=&c=3'),
    'no name' => post('=1&b=2'),
    'separators only' => post('&&a=1&&&b=2&'),
    'two equals signs' => post('a=b=c'),
    'a line end' => post("a=1\r\n"),
    'nothing' => post(''),
    'with a query' => post('a=post&b=post', '/?a=query&c=query'),
    'a query only' => get('/?a=1&b[]=2&b[]=3'),
    'a query without a value' => get('/?ab+cd'),
]);
?>
--EXPECT--
-- one
POST {"a":"Hello World"}
input "a=Hello+World"
-- two
POST {"a":"Hello World","b":"Hello Again World"}
input "a=Hello+World&b=Hello+Again+World"
-- three
POST {"a":"1","b":"2","c":"3"}
input "a=1&b=2&c=3"
-- the same twice
POST {"a":"2"}
input "a=1&a=2"
-- no value
POST {"a":"","b":"","c":"3"}
input "a&b=&c=3"
-- no name
POST {"b":"2"}
input "=1&b=2"
-- separators only
POST {"a":"1","b":"2"}
input "&&a=1&&&b=2&"
-- two equals signs
POST {"a":"b=c"}
input "a=b=c"
-- a line end
POST {"a":"1\r\n"}
input "a=1\r\n"
-- nothing
-- with a query
GET {"a":"query","c":"query"}
POST {"a":"post","b":"post"}
input "a=post&b=post"
-- a query only
GET {"a":"1","b":["2","3"]}
-- a query without a value
GET {"ab_cd":""}
