--TEST--
upload_max_filesize
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served(
    [
        'at, below and over it' => form([
            upload('one', 'a.txt', '1'),
            upload('two', 'b.txt', '22'),
            upload('none', 'c.txt', ''),
            upload('three', 'd.txt', '333'),
        ]),
        'in an array' => form([upload('f[]', 'a.txt', '1'), upload('f[]', 'b.txt', '22')]),
        'fields are not meant' => form([field('a', str_repeat('a', 50)), upload('f', 'a.txt', '1')]),
    ],
    ['upload_max_filesize' => 1],
);
?>
--EXPECT--
-- at, below and over it
FILES {"one":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"1","error":0,"size":1},"two":{"name":"b.txt","full_path":"b.txt","type":"","tmp_name":"","error":1,"size":0},"none":{"name":"c.txt","full_path":"c.txt","type":"text/plain","tmp_name":"","error":0,"size":0},"three":{"name":"d.txt","full_path":"d.txt","type":"","tmp_name":"","error":1,"size":0}}
-- in an array
FILES {"f":{"name":["a.txt","b.txt"],"full_path":["a.txt","b.txt"],"type":["text/plain",""],"tmp_name":["1",""],"error":[0,1],"size":[1,0]}}
-- fields are not meant
POST {"a":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"1","error":0,"size":1}}
