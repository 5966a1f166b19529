--TEST--
There is no Worker outside of a worker, so that nobody can receive there
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/../attempt.inc';

use RoadRunner\Worker;

attempt('new', fn () => (new Worker())->receive());
attempt('static', fn () => Worker::receive());
attempt('reflected', fn () => (new ReflectionMethod(Worker::class, 'receive'))->invoke(null));
attempt('on another object', fn () => (new ReflectionMethod(Worker::class, 'receive'))->invoke(new stdClass()));
?>
--EXPECTF--
new: Exception: %s
static: Error: %s
reflected: ReflectionException: %s
on another object: ReflectionException: %s
