--TEST--
Server::run() without an app says what to call first
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/../attempt.inc';

use RoadRunner\Server;

attempt('no app', fn () => Server::create()->run());
?>
--EXPECT--
no app: RoadRunner\ConfigException: Server::run(): there is nothing to serve; call http(), globals(), files() or the like first, or give http.app.root or server.command, or a section that needs no workers (rpc, service, …)
