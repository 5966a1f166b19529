--TEST--
Server::create(): null is no settings, and a section is not a number
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/../attempt.inc';

use RoadRunner\Server;

attempt('null', fn () => Server::create(null));
attempt('http', fn () => Server::create(['http' => 5]));
?>
--EXPECT--
null: RoadRunner\Server
http: RoadRunner\ConfigException: Server::create(): http: expected a section, that is keys with values, got 5
