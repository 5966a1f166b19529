--TEST--
post_max_size=0 is no limit
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served(
    ['a form' => post('a=' . str_repeat('x', 70)), 'parts' => form([field('a', '1'), upload('f', 'a.txt', '2')])],
    ['post_max_size' => 0],
);
?>
--EXPECT--
-- a form
POST {"a":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}
input "a=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
-- parts
POST {"a":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"2","error":0,"size":1}}
