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
no app: RoadRunner\ConfigException: there is nothing to serve; give a section http, with server.command or http.app.root, or one that needs no workers (rpc, service, metrics, status), or call Server::http(), files() or the like
