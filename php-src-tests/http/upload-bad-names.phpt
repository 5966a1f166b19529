--TEST--
Files whose field names have brackets in the wrong places
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served([
    'text behind a bracket' => form([upload('foo[]bar', 'a.txt', '1')]),
    'names of keys of a file' => form([
        upload('f[]', 'a.txt', '1'),
        upload('f[[type]', 'b.txt', '2'),
        upload('f[[name]', 'c.txt', '3'),
        upload('f[name][', 'd.txt', '4'),
    ]),
    'closed before it is open' => form([upload('f]a[', 'a.txt', '1')]),
    'never closed' => form([upload('f[a', 'a.txt', '1'), field('g[a', '1')]),
    'nothing but brackets' => form([upload('[]', 'a.txt', '1'), upload('[a]', 'b.txt', '2')]),
    'dots and spaces' => form([upload('a.b', 'a.txt', '1'), upload('c d', 'b.txt', '2'), upload(' e', 'c.txt', '3')]),
    'a name of PHP' => form([upload('_FILES', 'a.txt', '1'), upload('GLOBALS[x]', 'b.txt', '2'), field('_POST', '3')]),
]);
?>
--EXPECT--
-- text behind a bracket
-- names of keys of a file
FILES {"f":{"name":["a.txt"],"full_path":["a.txt"],"type":["text/plain"],"tmp_name":["1"],"error":[0],"size":[1]}}
-- closed before it is open
-- never closed
POST {"g_a":"1"}
-- nothing but brackets
-- dots and spaces
FILES {"a_b":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"1","error":0,"size":1},"c_d":{"name":"b.txt","full_path":"b.txt","type":"text/plain","tmp_name":"2","error":0,"size":1},"e":{"name":"c.txt","full_path":"c.txt","type":"text/plain","tmp_name":"3","error":0,"size":1}}
-- a name of PHP
POST {"_POST":"3"}
FILES {"_FILES":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"1","error":0,"size":1},"GLOBALS":{"name":{"x":"b.txt"},"full_path":{"x":"b.txt"},"type":{"x":"text/plain"},"tmp_name":{"x":"2"},"error":{"x":0},"size":{"x":1}}}
