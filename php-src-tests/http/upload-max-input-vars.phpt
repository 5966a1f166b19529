--TEST--
max_input_vars counts the fields of a form in multipart/form-data
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$fields = fn (int $count) => array_map(fn (int $number) => field("f$number", (string) $number), range(1, $count));
served(
    [
        'as many as may be' => form($fields(3)),
        'one more' => form($fields(4)),
        'files are not counted' => form([...$fields(3), upload('f', 'a.txt', '1')]),
        'array elements are' => form([field('a[]', '1'), field('a[]', '2'), field('a[]', '3'), field('a[]', '4')]),
    ],
    ['max_input_vars' => 3],
);
?>
--EXPECT--
-- as many as may be
POST {"f1":"1","f2":"2","f3":"3"}
-- one more
Warning: PHP Request Startup: Input variables exceeded 3. To increase the limit change max_input_vars in php.ini. in Unknown on line 0
POST {"f1":"1","f2":"2","f3":"3"}
-- files are not counted
POST {"f1":"1","f2":"2","f3":"3"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"1","error":0,"size":1}}
-- array elements are
Warning: PHP Request Startup: Input variables exceeded 3. To increase the limit change max_input_vars in php.ini. in Unknown on line 0
POST {"a":["1","2","3"]}
