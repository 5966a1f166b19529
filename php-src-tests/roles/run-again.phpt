--TEST--
Server::run() that was refused for its settings can be called again
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/../attempt.inc';

use RoadRunner\Server;

attempt('first', fn () => Server::create()->run());
attempt('second', fn () => Server::create()->run());
?>
--EXPECT--
first: RoadRunner\ConfigException: there is nothing to serve; give a section http, with server.command or http.app.root, or one that needs no workers (rpc, service, metrics, status), or call Server::http(), files() or the like
second: RoadRunner\ConfigException: there is nothing to serve; give a section http, with server.command or http.app.root, or one that needs no workers (rpc, service, metrics, status), or call Server::http(), files() or the like
