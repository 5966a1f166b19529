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
first: RoadRunner\ConfigException: Server::run(): there is nothing to serve; call http(), globals(), files() or the like first, or give http.app.root or server.command, or a section that needs no workers (rpc, service, …)
second: RoadRunner\ConfigException: Server::run(): there is nothing to serve; call http(), globals(), files() or the like first, or give http.app.root or server.command, or a section that needs no workers (rpc, service, …)
