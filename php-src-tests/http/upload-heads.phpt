--TEST--
Heads of parts that are garbage
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$part = fn (string $head) => form(["$head\r\n\r\ncontent", field('after', '1')]);
$good = 'Content-Disposition: form-data; name="f"; filename="a.txt"';
served([
    'no head at all' => $part(''),
    'no colon' => $part("garbage\r\n$good"),
    'no colon behind it' => $part("$good\r\ngarbage"),
    'a colon first' => $part(": garbage\r\n$good"),
    'bytes' => $part("\x01\x02\xff: \x7f\r\n$good"),
    'no disposition' => $part('Content-Type: text/plain'),
    'a disposition of nothing' => $part('Content-Disposition:'),
    'no name' => $part('Content-Disposition: form-data'),
    'words' => $part('Content-Disposition: form-data; name; filename'),
    'no quotes' => $part('Content-Disposition: form-data; name=f; filename=a.txt'),
    'single quotes' => $part("Content-Disposition: form-data; name='f'; filename='a.txt'"),
    'an open quote' => $part('Content-Disposition: form-data; name="f; filename="a.txt"'),
    'two dispositions' => $part("$good\r\n" . strtr($good, ['"f"' => '"g"'])),
    'capitals' => $part(strtoupper($good)),
    'a folded line' => $part(strtr($good, ['; file' => ";\r\n file"])),
    'a type of garbage' => $part("$good\r\nContent-Type: <?php ; ;;=\x01"),
    'a length that is wrong' => $part("$good\r\nContent-Length: 3"),
    'a coding' => $part("$good\r\nContent-Transfer-Encoding: base64"),
]);
?>
--EXPECT--
-- no head at all
POST {"after":"1"}
-- no colon
POST {"after":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"","tmp_name":"content","error":0,"size":7}}
-- no colon behind it
POST {"after":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"","tmp_name":"content","error":0,"size":7}}
-- a colon first
POST {"after":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"","tmp_name":"content","error":0,"size":7}}
-- bytes
POST {"after":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"","tmp_name":"content","error":0,"size":7}}
-- no disposition
POST {"after":"1"}
-- a disposition of nothing
Warning: File Upload Mime headers garbled in Unknown on line 0
-- no name
Warning: File Upload Mime headers garbled in Unknown on line 0
-- words
Warning: File Upload Mime headers garbled in Unknown on line 0
-- no quotes
POST {"after":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"","tmp_name":"content","error":0,"size":7}}
-- single quotes
POST {"after":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"","tmp_name":"content","error":0,"size":7}}
-- an open quote
POST {"f;_filename=":"content","after":"1"}
-- two dispositions
POST {"after":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"","tmp_name":"content","error":0,"size":7}}
-- capitals
POST {"after":"1"}
FILES {"F":{"name":"A.TXT","full_path":"A.TXT","type":"","tmp_name":"content","error":0,"size":7}}
-- a folded line
POST {"after":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"","tmp_name":"content","error":0,"size":7}}
-- a type of garbage
POST {"after":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"<?php ","tmp_name":"content","error":0,"size":7}}
-- a length that is wrong
POST {"after":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"","tmp_name":"content","error":0,"size":7}}
-- a coding
POST {"after":"1"}
FILES {"f":{"name":"a.txt","full_path":"a.txt","type":"","tmp_name":"content","error":0,"size":7}}
