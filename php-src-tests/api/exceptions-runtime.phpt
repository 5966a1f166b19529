--TEST--
Exceptions are a RuntimeException, know where they come from, and apps can throw them too
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/../attempt.inc';

attempt('parent', fn () => get_parent_class(RoadRunner\Exception::class));
attempt('thrown by an app', fn () => throw new RoadRunner\ConfigException('of the app', 3));
try {
    RoadRunner\Server::reload();
} catch (RoadRunner\Exception $error) {
    var_dump(basename($error->getFile()), $error->getLine(), count($error->getTrace()));
}
?>
--EXPECT--
parent: "RuntimeException"
thrown by an app: RoadRunner\ConfigException: of the app
string(22) "exceptions-runtime.php"
int(7)
int(1)
