--TEST--
Brackets in the names of fields
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served([
    'a list' => post('a[]=1&a[]=2'),
    'keys' => post('a[x]=1&a[y]=2&a[x]=3'),
    'numbers' => post('a[0]=1&a[7]=2&a[]=3&a[01]=4&a[-5]=5&a[]=6'),
    'nested' => post('a[][]=1&a[][]=2&a[x][y][]=3&a[x][y][]=4'),
    'five deep' => post('a[a][b][c][d][e]=1&a[a][b][c][d][f]=2'),
    'scalar, then array' => post('a=1&a[]=2'),
    'array, then scalar' => post('a[]=1&a=2'),
    'encoded brackets' => post('a%5Bx%5D=1&a%5B%5D=2'),
    'a key with spaces' => post('a[b c]=1&a[ d ]=2'),
    'a query and a body' => post('a[x]=post', '/?a[x]=query&a[y]=query'),
]);
?>
--EXPECT--
-- a list
POST {"a":["1","2"]}
input "a[]=1&a[]=2"
-- keys
POST {"a":{"x":"3","y":"2"}}
input "a[x]=1&a[y]=2&a[x]=3"
-- numbers
POST {"a":{"0":"1","7":"2","8":"3","01":"4","-5":"5","9":"6"}}
input "a[0]=1&a[7]=2&a[]=3&a[01]=4&a[-5]=5&a[]=6"
-- nested
POST {"a":{"0":["1"],"1":["2"],"x":{"y":["3","4"]}}}
input "a[][]=1&a[][]=2&a[x][y][]=3&a[x][y][]=4"
-- five deep
POST {"a":{"a":{"b":{"c":{"d":{"e":"1","f":"2"}}}}}}
input "a[a][b][c][d][e]=1&a[a][b][c][d][f]=2"
-- scalar, then array
POST {"a":["2"]}
input "a=1&a[]=2"
-- array, then scalar
POST {"a":"2"}
input "a[]=1&a=2"
-- encoded brackets
POST {"a":{"x":"1","0":"2"}}
input "a%5Bx%5D=1&a%5B%5D=2"
-- a key with spaces
POST {"a":{"b c":"1"," d ":"2"}}
input "a[b c]=1&a[ d ]=2"
-- a query and a body
GET {"a":{"x":"query","y":"query"}}
POST {"a":{"x":"post"}}
input "a[x]=post"
