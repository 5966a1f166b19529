--TEST--
Response: the body is a string, a Stringable or an iterable
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/../attempt.inc';

use RoadRunner\Response;

class Text
{
    public function __toString(): string
    {
        return 'text';
    }
}

function pieces(): Generator
{
    yield 'a';
}

$bodies = [
    'nothing' => null, 'string' => 'x', 'array' => ['a', 'b'], 'generator' => pieces(), 'iterator' => new ArrayIterator(['a']),
    'aggregate' => new ArrayObject(['a']), 'Stringable' => new Text(), 'number' => 5,
    'object' => new stdClass(), 'closure' => fn () => 1, 'resource' => STDIN,
];
foreach ($bodies as $name => $body) {
    attempt("new $name", fn () => new Response($body));
    attempt("set $name", fn () => (new Response())->setBody($body));
}
// Only a string can be read back; any bytes.
attempt('string back', fn () => (new Response('x'))->body());
attempt('bytes back', fn () => bin2hex((new Response("a\0\xff"))->body()));
attempt('array back', fn () => (new Response(['a']))->body());
$response = new Response('kept');
attempt('refused', fn () => $response->setBody(new stdClass()));
attempt('still', fn () => $response->body());
?>
--EXPECT--
new nothing: RoadRunner\Response
set nothing: RoadRunner\Response
new string: RoadRunner\Response
set string: RoadRunner\Response
new array: RoadRunner\Response
set array: RoadRunner\Response
new generator: RoadRunner\Response
set generator: RoadRunner\Response
new iterator: RoadRunner\Response
set iterator: RoadRunner\Response
new aggregate: RoadRunner\Response
set aggregate: RoadRunner\Response
new Stringable: RoadRunner\Response
set Stringable: RoadRunner\Response
new number: RoadRunner\Response
set number: RoadRunner\Response
new object: RoadRunner\Exception: the body of a response is a string, a Stringable, an iterable of strings, a stream, a Closure that prints or an SplFileInfo
set object: RoadRunner\Exception: the body of a response is a string, a Stringable, an iterable of strings, a stream, a Closure that prints or an SplFileInfo
new closure: RoadRunner\Response
set closure: RoadRunner\Response
new resource: RoadRunner\Response
set resource: RoadRunner\Response
string back: "x"
bytes back: "6100ff"
array back: null
refused: RoadRunner\Exception: the body of a response is a string, a Stringable, an iterable of strings, a stream, a Closure that prints or an SplFileInfo
still: "kept"
