--TEST--
Server::set() and the hooks: what is wrong is said where it is given
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/../attempt.inc';

use RoadRunner\Server;

$server = Server::create();
attempt('set', fn () => $server === $server->set('http.pool.num_workers', 2));
attempt('set a word', fn () => Server::create()->set('http.pool.num_workers', 'x'));
attempt('set an object', fn () => Server::create()->set('http.pool', new stdClass()));
attempt('http', fn () => $server === $server->http('127.0.0.1:0', fn () => 'x'));
attempt('http with several', fn () => Server::create()->http(['127.0.0.1:0', 'unix://x.sock'], fn () => 'x'));
attempt('http from the settings', fn () => Server::create()->http(null, fn () => 'x'));
attempt('http with an object', fn () => Server::create()->http(new stdClass(), fn () => 'x'));
attempt('http without a callable', fn () => Server::create()->http('127.0.0.1:0', 'no_such_function'));
attempt('httpLoop', fn () => $server === $server->httpLoop('127.0.0.1:0', fn () => null));
attempt('httpLoop without a callable', fn () => Server::create()->httpLoop('127.0.0.1:0', 3));
foreach (['boot', 'beforeFork', 'onWorkerStart', 'onWorkerStop'] as $hook) {
    attempt($hook, fn () => $server === $server->$hook(fn () => null));
    attempt("$hook without a callable", fn () => Server::create()->$hook('no_such_function'));
}
?>
--EXPECTF--
set: true
set a word: RoadRunner\ConfigException: %s: http.pool.num_workers: expected a number, got "x"
set an object: RoadRunner\ConfigException: a setting is a string, number, bool, null or an array of those
http: true
http with several: RoadRunner\Server
http from the settings: RoadRunner\Server
http with an object: RoadRunner\ConfigException: a setting is a string, number, bool, null or an array of those
http without a callable: RoadRunner\ConfigException: Server::http(): expected a callable
httpLoop: true
httpLoop without a callable: RoadRunner\ConfigException: Server::httpLoop(): expected a callable
boot: true
boot without a callable: RoadRunner\ConfigException: Server::boot(): expected a callable
beforeFork: true
beforeFork without a callable: RoadRunner\ConfigException: Server::beforeFork(): expected a callable
onWorkerStart: true
onWorkerStart without a callable: RoadRunner\ConfigException: Server::onWorkerStart(): expected a callable
onWorkerStop: true
onWorkerStop without a callable: RoadRunner\ConfigException: Server::onWorkerStop(): expected a callable
