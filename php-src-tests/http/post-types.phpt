--TEST--
What kind of body is a form
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served([
    'a charset' => post('a=1', '/', 'application/x-www-form-urlencoded; charset=utf-8'),
    'no space behind it' => post('a=1', '/', 'application/x-www-form-urlencoded;charset=utf-8'),
    'a comma behind it' => post('a=1', '/', 'application/x-www-form-urlencoded, text/plain'),
    'capitals' => post('a=1', '/', 'APPLICATION/X-WWW-FORM-URLENCODED'),
    'more letters' => post('a=1', '/', 'application/x-www-form-urlencodedx'),
    'JSON' => post('{"a":1}', '/', 'application/json'),
    'unknown' => post('a=1', '/', 'application/unknown'),
    'none' => request('POST', '/', 'a=1'),
    'an empty one' => post('a=1', '/', ''),
    'garbage' => post('a=1', '/', ';;; a/b'),
]);
?>
--EXPECT--
-- a charset
POST {"a":"1"}
input "a=1"
-- no space behind it
POST {"a":"1"}
input "a=1"
-- a comma behind it
POST {"a":"1"}
input "a=1"
-- capitals
POST {"a":"1"}
input "a=1"
-- more letters
input "a=1"
-- JSON
input "{\"a\":1}"
-- unknown
input "a=1"
-- none
input "a=1"
-- an empty one
input "a=1"
-- garbage
input "a=1"
