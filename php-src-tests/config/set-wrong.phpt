--TEST--
Server::http() and set(): a malformed address or path is said where it is given
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/../attempt.inc';

use RoadRunner\Server;

attempt('address', fn () => Server::create()->http('nonsense', fn () => 'x'));
attempt('empty path', fn () => Server::create()->set('', 'x'));
attempt('empty key', fn () => Server::create()->set('http..address', 'x'));
?>
--EXPECTF--
address: RoadRunner\ConfigException: %shttp.address: malformed http server address "nonsense"; write host:port or unix://file
empty path: RoadRunner\ConfigException: %s
empty key: RoadRunner\ConfigException: %s
