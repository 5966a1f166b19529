--TEST--
Files whose fields have no name are numbered
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$file = fn (string $name, string $content) =>
    "Content-Disposition: form-data; filename=\"$name\"\r\nContent-Type: text/plain\r\n\r\n$content";
served([
    'two' => form([$file('first.txt', '1'), $file('second.txt', '22')]),
    'between others' => form([upload('named', 'n.txt', 'n'), $file('none.txt', '0'), field('text', 't')]),
    'none' => form([]),
]);
?>
--EXPECT--
-- two
FILES [{"name":"first.txt","full_path":"first.txt","type":"text/plain","tmp_name":"1","error":0,"size":1},{"name":"second.txt","full_path":"second.txt","type":"text/plain","tmp_name":"22","error":0,"size":2}]
-- between others
POST {"text":"t"}
FILES {"named":{"name":"n.txt","full_path":"n.txt","type":"text/plain","tmp_name":"n","error":0,"size":1},"0":{"name":"none.txt","full_path":"none.txt","type":"text/plain","tmp_name":"0","error":0,"size":1}}
-- none
