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
attempt('Lock::acquire()', fn () => RoadRunner\Lock::acquire('a'));
attempt('Lock::with()', fn () => RoadRunner\Lock::with('a', fn () => print 'called'));
attempt('Lock::exists()', fn () => RoadRunner\Lock::exists('a'));
attempt('Metrics::counter()->inc()', fn () => RoadRunner\Metrics::counter('hits')->with([])->inc());
attempt('Metrics::unregister()', fn () => RoadRunner\Metrics::unregister('hits'));
attempt('Service::list()', fn () => RoadRunner\Service::list());
?>
--EXPECT--
Server::reload(): RoadRunner\RoleException: this works inside a worker only, while the server runs
Server::stop(): RoadRunner\RoleException: this works inside a worker only, while the server runs
Server::workers(): RoadRunner\RoleException: this works inside a worker only, while the server runs
Lock::acquire(): RoadRunner\RoleException: this works inside a worker only, while the server runs
Lock::with(): RoadRunner\RoleException: this works inside a worker only, while the server runs
Lock::exists(): RoadRunner\RoleException: this works inside a worker only, while the server runs
Metrics::counter()->inc(): RoadRunner\RoleException: this works inside a worker only, while the server runs
Metrics::unregister(): RoadRunner\RoleException: this works inside a worker only, while the server runs
Service::list(): RoadRunner\RoleException: this works inside a worker only, while the server runs
