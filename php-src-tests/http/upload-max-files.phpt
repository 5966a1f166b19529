--TEST--
max_file_uploads counts files that were chosen
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$file = fn (int $number) => upload("f$number", "$number.txt", (string) $number);
$empty = fn (int $number) => upload("e$number", '', '');
served(
    [
        'as many as may be' => form([$file(1), $file(2)]),
        'one more, and a field' => form([$file(1), $file(2), $file(3), field('a', '1')]),
        'empty ones between' => form([$empty(1), $file(1), $empty(2), $file(2), $empty(3), $file(3)]),
        'empty ones only' => form([$empty(1), $empty(2), $empty(3)]),
        'without content' => form([upload('a', 'a.txt', ''), upload('b', 'b.txt', ''), upload('c', 'c.txt', '')]),
    ],
    ['max_file_uploads' => 2],
);
?>
--EXPECT--
-- as many as may be
FILES {"f1":{"name":"1.txt","full_path":"1.txt","type":"text/plain","tmp_name":"1","error":0,"size":1},"f2":{"name":"2.txt","full_path":"2.txt","type":"text/plain","tmp_name":"2","error":0,"size":1}}
-- one more, and a field
Warning: Maximum number of allowable file uploads has been exceeded in Unknown on line 0
POST {"a":"1"}
FILES {"f1":{"name":"1.txt","full_path":"1.txt","type":"text/plain","tmp_name":"1","error":0,"size":1},"f2":{"name":"2.txt","full_path":"2.txt","type":"text/plain","tmp_name":"2","error":0,"size":1}}
-- empty ones between
Warning: Maximum number of allowable file uploads has been exceeded in Unknown on line 0
FILES {"e1":{"name":"","full_path":"","type":"","tmp_name":"","error":4,"size":0},"f1":{"name":"1.txt","full_path":"1.txt","type":"text/plain","tmp_name":"1","error":0,"size":1},"e2":{"name":"","full_path":"","type":"","tmp_name":"","error":4,"size":0},"f2":{"name":"2.txt","full_path":"2.txt","type":"text/plain","tmp_name":"2","error":0,"size":1}}
-- empty ones only
FILES {"e1":{"name":"","full_path":"","type":"","tmp_name":"","error":4,"size":0},"e2":{"name":"","full_path":"","type":"","tmp_name":"","error":4,"size":0},"e3":{"name":"","full_path":"","type":"","tmp_name":"","error":4,"size":0}}
-- without content
Warning: Maximum number of allowable file uploads has been exceeded in Unknown on line 0
FILES {"a":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"","error":0,"size":0},"b":{"name":"b.txt","full_path":"b.txt","type":"text/plain","tmp_name":"","error":0,"size":0}}
