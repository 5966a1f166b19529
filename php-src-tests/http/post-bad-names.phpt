--TEST--
Names of fields that PHP changes or refuses
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served([
    'dots and spaces' => post('a.b=1&c d=2&e+f=3&.g=4'),
    'dots in keys stay' => post('a.b[c.d]=1'),
    'never closed' => post('a[b=1&c[d.e=2'),
    'never closed, nested' => post('a[b][c=1'),
    'closed only' => post('a]=1&]=2'),
    'brackets in brackets' => post('a[[b]]=1&c[[d]=2'),
    'text behind' => post('a[b]c=1&d[]e[f]=2'),
    'a bracket first' => post('[a]=1&[]=2&[b=3'),
    'a space first' => post('+a=1&++b=2'),
    'only spaces' => post('+++=1'),
    'names of PHP' => post('GLOBALS=1&_POST=2&this=3&GLOBALS[x]=4'),
    'numbers' => post('0=a&1=b&01=c'),
    'empty keys' => post('a[ ]=1&a[%00]=2'),
]);
?>
--EXPECT--
-- dots and spaces
POST {"a_b":"1","c_d":"2","e_f":"3","_g":"4"}
input "a.b=1&c d=2&e+f=3&.g=4"
-- dots in keys stay
POST {"a_b":{"c.d":"1"}}
input "a.b[c.d]=1"
-- never closed
POST {"a_b":"1","c_d_e":"2"}
input "a[b=1&c[d.e=2"
-- never closed, nested
POST {"a":{"b":"1"}}
input "a[b][c=1"
-- closed only
POST {"a]":"1","]":"2"}
input "a]=1&]=2"
-- brackets in brackets
POST {"a":{"[b":"1"},"c":{"[d":"2"}}
input "a[[b]]=1&c[[d]=2"
-- text behind
POST {"a":{"b":"1"},"d":["2"]}
input "a[b]c=1&d[]e[f]=2"
-- a bracket first
input "[a]=1&[]=2&[b=3"
-- a space first
POST {"a":"1","b":"2"}
input "+a=1&++b=2"
-- only spaces
input "+++=1"
-- names of PHP
POST {"GLOBALS":{"x":"4"},"_POST":"2","this":"3"}
input "GLOBALS=1&_POST=2&this=3&GLOBALS[x]=4"
-- numbers
POST {"0":"a","1":"b","01":"c"}
input "0=a&1=b&01=c"
-- empty keys
POST {"a":["1"],"a_":"2"}
input "a[ ]=1&a[%00]=2"
