--TEST--
Files of a field with brackets
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served([
    'keys given and not' => form([upload('f[]', 'a.txt', '1'), upload('f[2]', 'b.txt', '2'), upload('f[]', 'c.txt', '3')]),
    'names as keys' => form([upload('f[x]', 'a.txt', '1'), upload('f[y]', 'b.txt', '22', 'image/png')]),
    'nested' => form([upload('f[x][]', 'a.txt', '1'), upload('f[x][]', 'b.txt', '2'), upload('f[y][z]', 'c.txt', '3')]),
    'the same name twice' => form([upload('f', 'a.txt', '1'), upload('f', 'b.txt', '22')]),
    'array, then scalar' => form([upload('f[]', 'a.txt', '1'), upload('f', 'b.txt', '22')]),
]);
?>
--EXPECT--
-- keys given and not
FILES {"f":{"name":{"0":"a.txt","2":"b.txt","3":"c.txt"},"full_path":{"0":"a.txt","2":"b.txt","3":"c.txt"},"type":{"0":"text/plain","2":"text/plain","3":"text/plain"},"tmp_name":{"0":"1","2":"2","3":"3"},"error":{"0":0,"2":0,"3":0},"size":{"0":1,"2":1,"3":1}}}
-- names as keys
FILES {"f":{"name":{"x":"a.txt","y":"b.txt"},"full_path":{"x":"a.txt","y":"b.txt"},"type":{"x":"text/plain","y":"image/png"},"tmp_name":{"x":"1","y":"22"},"error":{"x":0,"y":0},"size":{"x":1,"y":2}}}
-- nested
FILES {"f":{"name":{"x":["a.txt","b.txt"],"y":{"z":"c.txt"}},"full_path":{"x":["a.txt","b.txt"],"y":{"z":"c.txt"}},"type":{"x":["text/plain","text/plain"],"y":{"z":"text/plain"}},"tmp_name":{"x":["1","2"],"y":{"z":"3"}},"error":{"x":[0,0],"y":{"z":0}},"size":{"x":[1,1],"y":{"z":1}}}}
-- the same name twice
FILES {"f":{"name":"b.txt","full_path":"b.txt","type":"text/plain","tmp_name":"22","error":0,"size":2}}
-- array, then scalar
FILES {"f":{"name":"b.txt","full_path":"b.txt","type":"text/plain","tmp_name":"22","error":0,"size":2}}
