--TEST--
What works inside a worker only says so elsewhere
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/../attempt.inc';

use RoadRunner\Server;

foreach (['reload', 'stop', 'workers'] as $call) {
    attempt("Server::$call()", [Server::class, $call]);
}
attempt('Service::list()', fn () => RoadRunner\Service::list());
?>
--EXPECT--
Server::reload(): RoadRunner\RoleException: this works inside a worker only, while the server runs
Server::stop(): RoadRunner\RoleException: this works inside a worker only, while the server runs
Server::workers(): RoadRunner\RoleException: this works inside a worker only, while the server runs
Service::list(): RoadRunner\RoleException: this works inside a worker only, while the server runs
