--TEST--
Each file has an error of its own
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served(
    [
        'all kinds' => form([
            field('MAX_FILE_SIZE', '5'),
            upload('good', 'a.txt', '12345'),
            upload('over_the_form', 'b.txt', '123456'),
            upload('over_php_ini', 'c.txt', str_repeat('x', 11)),
            upload('not_chosen', '', ''),
            upload('good_again', 'd.txt', '1'),
        ]),
        'both limits in a long file' => form([
            field('MAX_FILE_SIZE', '5'),
            upload('first', 'a.txt', str_repeat('x', 6000)),
            upload('second', 'b.txt', str_repeat('x', 60000)),
        ]),
        'cut off in the content' => post(
            "--edge\r\n" . upload('whole', 'a.txt', '1') . "\r\n--edge\r\n" . upload('cut', 'b.txt', '12'),
            '/',
            'multipart/form-data; boundary=edge',
        ),
        'cut off in the head' => post(
            "--edge\r\n" . upload('whole', 'a.txt', '1') . "\r\n--edge\r\nContent-Disposition: form-data; name=\"cut\"; fi",
            '/',
            'multipart/form-data; boundary=edge',
        ),
    ],
    ['upload_max_filesize' => 10],
);
?>
--EXPECT--
-- all kinds
POST {"MAX_FILE_SIZE":"5"}
FILES {"good":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"12345","error":0,"size":5},"over_the_form":{"name":"b.txt","full_path":"b.txt","type":"","tmp_name":"","error":2,"size":0},"over_php_ini":{"name":"c.txt","full_path":"c.txt","type":"","tmp_name":"","error":1,"size":0},"not_chosen":{"name":"","full_path":"","type":"","tmp_name":"","error":4,"size":0},"good_again":{"name":"d.txt","full_path":"d.txt","type":"text/plain","tmp_name":"1","error":0,"size":1}}
-- both limits in a long file
POST {"MAX_FILE_SIZE":"5"}
FILES {"first":{"name":"a.txt","full_path":"a.txt","type":"","tmp_name":"","error":1,"size":0},"second":{"name":"b.txt","full_path":"b.txt","type":"","tmp_name":"","error":1,"size":0}}
-- cut off in the content
FILES {"whole":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"1","error":0,"size":1},"cut":{"name":"b.txt","full_path":"b.txt","type":"","tmp_name":"","error":3,"size":0}}
-- cut off in the head
FILES {"whole":{"name":"a.txt","full_path":"a.txt","type":"text/plain","tmp_name":"1","error":0,"size":1}}
