--TEST--
Response: defaults, chains, and classes that extend it
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/../attempt.inc';

use RoadRunner\Response;

class Created extends Response
{
    public function __construct(string $body)
    {
        parent::__construct($body, 201);
    }
}

$response = new Response();
attempt('defaults', fn () => [$response->status(), $response->headers(), $response->body()]);
attempt('chains', fn () => $response === $response->setStatus(201)->setBody('x')->setHeader('A', 'b'));
attempt('child', fn () => [(new Created('mine'))->status(), (new Created('mine'))->body()]);
attempt('serialized', fn () => serialize($response));
attempt('unserialized', fn () => unserialize('O:19:"RoadRunner\Response":0:{}'));
?>
--EXPECTF--
defaults: [200,[],null]
chains: true
child: [201,"mine"]
serialized: Exception: %s
unserialized: Exception: %s
