--TEST--
max_file_uploads=0: no file is taken
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served(
    ['a file and a field' => form([upload('f', 'a.txt', '1'), field('a', '1')])],
    ['max_file_uploads' => 0],
);
?>
--EXPECT--
-- a file and a field
Warning: Maximum number of allowable file uploads has been exceeded in Unknown on line 0
POST {"a":"1"}
