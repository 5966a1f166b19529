--TEST--
arg_separator.input is for queries, not for bodies
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served(
    [
        'a query' => get('/?a=1;b=2/c=3&d=4'),
        'a body' => post('a=1;b=2/c=3&d=4'),
        'cookies' => get('/', 'Cookie: a=1; b=2/c=3&d=4'),
    ],
    ['arg_separator.input' => ';/'],
);
?>
--EXPECT--
-- a query
GET {"a":"1","b":"2","c":"3&d=4"}
-- a body
POST {"a":"1;b=2/c=3","d":"4"}
input "a=1;b=2/c=3&d=4"
-- cookies
COOKIE {"a":"1","b":"2/c=3&d=4"}
