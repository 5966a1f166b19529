--TEST--
Only the server makes requests, workers and servers
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/../attempt.inc';

foreach (['Server', 'Request', 'Worker', 'Lock', 'Counter', 'LogChannel'] as $name) {
    $class = "RoadRunner\\$name";
    attempt("new $name", fn () => new $class());
    attempt("$name without its constructor", fn () => (new ReflectionClass($class))->newInstanceWithoutConstructor());
    attempt("$name unserialized", fn () => unserialize('O:' . strlen($class) . ":\"$class\":0:{}"));
}
$server = RoadRunner\Server::create();
attempt('a server serialized', fn () => serialize($server));
attempt('a server cloned', fn () => clone $server);
?>
--EXPECTF--
new Server: Exception: %s
Server without its constructor: ReflectionException: %s
Server unserialized: Exception: %s
new Request: Exception: %s
Request without its constructor: ReflectionException: %s
Request unserialized: Exception: %s
new Worker: Exception: %s
Worker without its constructor: ReflectionException: %s
Worker unserialized: Exception: %s
new Lock: Exception: %s
Lock without its constructor: ReflectionException: %s
Lock unserialized: Exception: %s
new Counter: Exception: %s
Counter without its constructor: ReflectionException: %s
Counter unserialized: Exception: %s
new LogChannel: Exception: %s
LogChannel without its constructor: ReflectionException: %s
LogChannel unserialized: Exception: %s
a server serialized: Exception: %s
a server cloned: Error: %s
