--TEST--
The field MAX_FILE_SIZE
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$files = [upload('two', 'a.txt', '12'), upload('one', 'b.txt', '1'), upload('three', 'c.txt', '123')];
$limit = fn (string $limit) => form([field('MAX_FILE_SIZE', $limit), ...$files]);
served([
    'of one byte' => $limit('1'),
    'of three bytes' => $limit('3'),
    'of nothing' => $limit('0'),
    'below nothing' => $limit('-1'),
    'of a word' => $limit('one'),
    'of a number and a word' => $limit('2K'),
    'behind a file' => form([$files[0], field('MAX_FILE_SIZE', '1'), $files[2]]),
    'twice' => form([field('MAX_FILE_SIZE', '1'), field('MAX_FILE_SIZE', '2'), ...$files]),
]);
?>
--EXPECT--
-- of one byte
POST {"MAX_FILE_SIZE":"1"}
FILES {"two":{"name":"a.txt","full_path":"a.txt","type":"","tmp_name":"","error":2,"size":0},"one":{"name":"b.txt","full_path":"b.txt","type":"text/plain","tmp_name":"1","error":0,"size":1},"three":{"name":"c.txt","full_path":"c.txt","type":"","tmp_name":"","error":2,"size":0}}
-- of three bytes
POST {"MAX_FILE_SIZE":"3"}
FILES {"two":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"12","error":0,"size":2},"one":{"name":"b.txt","full_path":"b.txt","type":"text/plain","tmp_name":"1","error":0,"size":1},"three":{"name":"c.txt","full_path":"c.txt","type":"text/plain","tmp_name":"123","error":0,"size":3}}
-- of nothing
POST {"MAX_FILE_SIZE":"0"}
FILES {"two":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"12","error":0,"size":2},"one":{"name":"b.txt","full_path":"b.txt","type":"text/plain","tmp_name":"1","error":0,"size":1},"three":{"name":"c.txt","full_path":"c.txt","type":"text/plain","tmp_name":"123","error":0,"size":3}}
-- below nothing
POST {"MAX_FILE_SIZE":"-1"}
FILES {"two":{"name":"a.txt","full_path":"a.txt","type":"","tmp_name":"","error":2,"size":0},"one":{"name":"b.txt","full_path":"b.txt","type":"","tmp_name":"","error":2,"size":0},"three":{"name":"c.txt","full_path":"c.txt","type":"","tmp_name":"","error":2,"size":0}}
-- of a word
POST {"MAX_FILE_SIZE":"one"}
FILES {"two":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"12","error":0,"size":2},"one":{"name":"b.txt","full_path":"b.txt","type":"text/plain","tmp_name":"1","error":0,"size":1},"three":{"name":"c.txt","full_path":"c.txt","type":"text/plain","tmp_name":"123","error":0,"size":3}}
-- of a number and a word
POST {"MAX_FILE_SIZE":"2K"}
FILES {"two":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"12","error":0,"size":2},"one":{"name":"b.txt","full_path":"b.txt","type":"text/plain","tmp_name":"1","error":0,"size":1},"three":{"name":"c.txt","full_path":"c.txt","type":"","tmp_name":"","error":2,"size":0}}
-- behind a file
POST {"MAX_FILE_SIZE":"1"}
FILES {"two":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"12","error":0,"size":2},"three":{"name":"c.txt","full_path":"c.txt","type":"","tmp_name":"","error":2,"size":0}}
-- twice
POST {"MAX_FILE_SIZE":"2"}
FILES {"two":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"12","error":0,"size":2},"one":{"name":"b.txt","full_path":"b.txt","type":"text/plain","tmp_name":"1","error":0,"size":1},"three":{"name":"c.txt","full_path":"c.txt","type":"","tmp_name":"","error":2,"size":0}}
