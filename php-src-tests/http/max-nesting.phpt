--TEST--
max_input_nesting_level
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served(
    [
        'at the limit' => post('a[b][c][d]=1&e=2', '/?a[b][c][d]=1'),
        'over it' => post('a[b][c][d][e]=1&f=2', '/?a[b][c][d][e]=1&f=2'),
        'over it, once' => post('a[b]=1&a[b][c][d][e]=2&a[f]=3'),
        'a cookie' => get('/', 'Cookie: a[b][c][d][e]=1; f=2'),
        'parts' => form([field('a[b][c][d]', '1'), field('g[b][c][d][e]', '2'), upload('f[b]', 'a.txt', '3')]),
        'a file over it' => form([upload('f[b][c][d][e]', 'a.txt', '1'), upload('g', 'b.txt', '2')]),
    ],
    ['max_input_nesting_level' => 3],
);
?>
--EXPECT--
-- at the limit
GET {"a":{"b":{"c":{"d":"1"}}}}
POST {"a":{"b":{"c":{"d":"1"}}},"e":"2"}
input "a[b][c][d]=1&e=2"
-- over it
GET {"f":"2"}
POST {"f":"2"}
input "a[b][c][d][e]=1&f=2"
-- over it, once
POST {"a":{"f":"3"}}
input "a[b]=1&a[b][c][d][e]=2&a[f]=3"
-- a cookie
COOKIE {"f":"2"}
-- parts
POST {"a":{"b":{"c":{"d":"1"}}}}
FILES {"f":{"name":{"b":"a.txt"},"full_path":{"b":"a.txt"},"type":{"b":"text/plain"},"tmp_name":{"b":"3"},"error":{"b":0},"size":{"b":1}}}
-- a file over it
FILES {"g":{"name":"b.txt","full_path":"b.txt","type":"text/plain","tmp_name":"2","error":0,"size":1}}
