--TEST--
The Cookie header
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$cookie = fn (string ...$lines) => get('/', ...array_map(fn (string $line) => "Cookie: $line", $lines));
served([
    'several' => $cookie('a=1; b=2;c=3'),
    'the same twice' => $cookie('a=1; a=2; a=3'),
    'arrays' => $cookie('a[]=1; a[x]=2; b[c][d]=3'),
    'encoded' => $cookie('a=%20x%3B; b%20c=1; d%2Ee=2'),
    'a plus stays' => $cookie('a=1+2'),
    'names that are changed' => $cookie('a.b=1; c d=2; [e=3; f]=4'),
    'spaces around' => $cookie('  a = 1 ;  b=2  ; c = 3'),
    'no value' => $cookie('a; b=; c=3'),
    'no name' => $cookie('=1; b=2'),
    'quotes' => $cookie('a="1; 2"; b="3"'),
    'a comma' => $cookie('a=1,b=2'),
    'an ampersand' => $cookie('a=1&b=2'),
    'malformed' => $cookie('a=%; b=%4; %zz=1'),
    'a prefix that is encoded' => $cookie('__%48ost-a=evil; __Host-b=1; __Secure-c=2; _[Host-d=3; .[Host-e=4'),
    'two lines' => $cookie('a=1; b=2', 'c=3; a=4'),
    'an array after a scalar' => $cookie('a=1; a[x]=2; b[x]=1; b=2'),
]);
?>
--EXPECT--
-- several
COOKIE {"a":"1","b":"2","c":"3"}
-- the same twice
COOKIE {"a":"1"}
-- arrays
COOKIE {"a":{"0":"1","x":"2"},"b":{"c":{"d":"3"}}}
-- encoded
COOKIE {"a":" x;","b%20c":"1","d%2Ee":"2"}
-- a plus stays
COOKIE {"a":"1+2"}
-- names that are changed
COOKIE {"a_b":"1","c_d":"2","f]":"4"}
-- spaces around
COOKIE {"a_":" 1 ","b":"2  ","c_":" 3"}
-- no value
COOKIE {"a":"","b":"","c":"3"}
-- no name
COOKIE {"b":"2"}
-- quotes
COOKIE {"a":"\"1","2\"":"","b":"\"3\""}
-- a comma
COOKIE {"a":"1,b=2"}
-- an ampersand
COOKIE {"a":"1&b=2"}
-- malformed
COOKIE {"a":"%","b":"%4","%zz":"1"}
-- a prefix that is encoded
COOKIE {"__%48ost-a":"evil","__Host-b":"1","__Secure-c":"2"}
-- two lines
COOKIE {"a":"1","b":"2","c":"3"}
-- an array after a scalar
COOKIE {"a":{"x":"2"},"b":{"x":"1"}}
