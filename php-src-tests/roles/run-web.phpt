--TEST--
Server::run() with files: a root that is not there, and a function that classic cannot run
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/../attempt.inc';

use RoadRunner\Server;

attempt('root', fn () => Server::create()->files('127.0.0.1:0', 'not-there')->run());
attempt('mode', fn () => Server::create()->files('127.0.0.1:0', __DIR__, 'fast')->run());
attempt('classic', fn () => Server::create(['http' => ['address' => '127.0.0.1:0', 'app' => ['mode' => 'classic']]])
    ->globals(null, fn () => print 'x')->run());
attempt('script', fn () => Server::create()->script('127.0.0.1:0', 'not-there.php'));
?>
--EXPECTF--
root: RoadRunner\ConfigException: http.app.root: there is no folder "not-there"
mode: RoadRunner\ConfigException: Server::create(): http.app.mode: expected one of globals, classic, snapshot, got "fast"
classic: RoadRunner\ConfigException: http.app.mode: classic runs files; give http.app.root and no function
script: RoadRunner\ConfigException: Server::script(): there is no file %snot-there.php
