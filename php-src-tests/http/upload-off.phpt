--TEST--
file_uploads=0: files are left out, fields are not
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served(
    ['both' => form([field('a', '1'), upload('f', 'a.txt', 'content'), field('b', '2')])],
    ['file_uploads' => 0],
);
?>
--EXPECT--
-- both
POST {"a":"1","b":"2"}
