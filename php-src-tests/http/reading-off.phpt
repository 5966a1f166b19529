--TEST--
enable_post_data_reading=0: PHP leaves bodies alone
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served(
    [
        'a form' => post('a=1&b=2', '/?q=1'),
        'parts' => form([field('a', '1'), upload('f', 'a.txt', '2')], 'e'),
        'text' => post('text', '/', 'text/plain'),
        'no boundary' => post('text', '/', 'multipart/form-data'),
        'nothing' => post(''),
    ],
    ['enable_post_data_reading' => 0],
);
?>
--EXPECT--
-- a form
GET {"q":"1"}
input "a=1&b=2"
-- parts
input 155 bytes
-- text
input "text"
-- no boundary
input "text"
-- nothing
