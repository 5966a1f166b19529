--TEST--
Response: headers are an array, and set one by one
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/../attempt.inc';

use RoadRunner\Response;

attempt('none', fn () => (new Response())->headers());
attempt('null', fn () => (new Response('', 200, null))->headers());
attempt('map', fn () => (new Response('', 200, ['A' => 'b', 'C' => ['d', 'e'], 'N' => 1]))->headers());
attempt('named arguments', fn () => (new Response(status: 204, headers: ['A' => 'b']))->headers());
foreach (['string' => 'A: b', 'number' => 1, 'object' => new stdClass()] as $name => $headers) {
    attempt($name, fn () => new Response('', 200, $headers));
}
attempt('set', fn () => (new Response())->setHeader('A', 'b')->setHeader('A', 'c')->setHeader('D', ['e', 'f'])->headers());
// The caller's array is its own.
$mine = ['A' => 'b'];
$response = new Response('', 200, $mine);
$response->setHeader('A', 'c');
attempt('mine', fn () => $mine);
attempt('its', fn () => $response->headers());
$given = $response->headers();
$given['X'] = 'y';
attempt('its still', fn () => $response->headers());
attempt('too many arguments', fn () => new Response('', 200, [], 1));
?>
--EXPECTF--
none: []
null: []
map: {"A":"b","C":["d","e"],"N":1}
named arguments: {"A":"b"}
string: RoadRunner\Exception: the headers of a response are an array: name => value
number: RoadRunner\Exception: the headers of a response are an array: name => value
object: RoadRunner\Exception: the headers of a response are an array: name => value
set: {"A":"c","D":["e","f"]}
mine: {"A":"b"}
its: {"A":"c"}
its still: {"A":"c"}
too many arguments: ArgumentCountError: %s
