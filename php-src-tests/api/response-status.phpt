--TEST--
Response: the status is from 200 to 599
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/../attempt.inc';

use RoadRunner\Response;

foreach ([200, 204, 404, 599, 199, 600, 101, 99, 0, -1, 65736, PHP_INT_MAX] as $status) {
    attempt("new $status", fn () => (new Response('', $status))->status());
}
attempt('set 503', fn () => (new Response())->setStatus(503)->status());
attempt('set 600', fn () => (new Response())->setStatus(600));
// What was there before stays.
$response = new Response('', 201);
attempt('set 42', fn () => $response->setStatus(42));
attempt('still', fn () => $response->status());
attempt('a word', fn () => new Response('', 'abc'));
attempt('null', fn () => new Response('', null));
?>
--EXPECTF--
new 200: 200
new 204: 204
new 404: 404
new 599: 599
new 199: RoadRunner\Exception: a response with status 199: expected 200 to 599
new 600: RoadRunner\Exception: a response with status 600: expected 200 to 599
new 101: RoadRunner\Exception: a response with status 101: expected 200 to 599
new 99: RoadRunner\Exception: a response with status 99: expected 200 to 599
new 0: RoadRunner\Exception: a response with status 0: expected 200 to 599
new -1: RoadRunner\Exception: a response with status -1: expected 200 to 599
new 65736: RoadRunner\Exception: a response with status 65736: expected 200 to 599
new 9223372036854775807: RoadRunner\Exception: a response with status 9223372036854775807: expected 200 to 599
set 503: 503
set 600: RoadRunner\Exception: a response with status 600: expected 200 to 599
set 42: RoadRunner\Exception: a response with status 42: expected 200 to 599
still: 201
a word: TypeError: %s
null: TypeError: %s
