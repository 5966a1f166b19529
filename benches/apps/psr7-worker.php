<?php

// The app of benches/roadrunner: spiral/roadrunner-http and nyholm/psr7 of the vendor folder that AUTOLOAD names.

require getenv('AUTOLOAD');

$factory = new Nyholm\Psr7\Factory\Psr17Factory();
$worker = Spiral\RoadRunner\Worker::create();
$psr7 = new Spiral\RoadRunner\Http\PSR7Worker($worker, $factory, $factory, $factory);
while ($request = $psr7->waitRequest()) {
    $text = 'Hello, ' . ($request->getQueryParams()['name'] ?? 'world') . "\n";
    $psr7->respond(new Nyholm\Psr7\Response(200, ['Content-Type' => 'text/plain'], $text));
}
