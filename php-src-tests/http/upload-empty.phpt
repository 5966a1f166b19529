--TEST--
Files without content, and fields of files that were left empty
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served([
    'no content' => form([upload('a', 'a.txt', ''), upload('b', 'b.txt', 'b')]),
    'no file chosen' => form([upload('a', '', '', 'application/octet-stream'), upload('b', 'b.txt', 'b')]),
    'no file name but content' => form([upload('a', '', 'lost', 'text/plain')]),
    'none of several chosen' => form([upload('a[]', '', ''), upload('a[]', '', ''), field('b', '1')]),
    'nothing at all' => form([]),
]);
?>
--EXPECT--
-- no content
FILES {"a":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"","error":0,"size":0},"b":{"name":"b.txt","full_path":"b.txt","type":"text/plain","tmp_name":"b","error":0,"size":1}}
-- no file chosen
FILES {"a":{"name":"","full_path":"","type":"","tmp_name":"","error":4,"size":0},"b":{"name":"b.txt","full_path":"b.txt","type":"text/plain","tmp_name":"b","error":0,"size":1}}
-- no file name but content
FILES {"a":{"name":"","full_path":"","type":"","tmp_name":"","error":4,"size":0}}
-- none of several chosen
POST {"b":"1"}
FILES {"a":{"name":["",""],"full_path":["",""],"type":["",""],"tmp_name":["",""],"error":[4,4],"size":[0,0]}}
-- nothing at all
