--TEST--
Exceptions: one parent for all
--EXTENSIONS--
roadrunner
--FILE--
<?php
foreach (['Exception', 'ConfigException', 'RoleException', 'ClientGoneException', 'ChannelException', 'RpcException', 'KeyValueException', 'LockException', 'MetricsException', 'ServiceException'] as $name) {
    $class = "RoadRunner\\$name";
    echo $name, ': ', implode(', ', array_filter([
        is_subclass_of($class, RoadRunner\Exception::class) ? 'RoadRunner\Exception' : null,
        is_subclass_of($class, Exception::class) ? 'Exception' : null,
        is_subclass_of($class, Throwable::class) ? 'Throwable' : null,
    ])), "\n";
}
try {
    RoadRunner\Server::reload();
} catch (RoadRunner\Exception $error) {
    var_dump(get_class($error), $error->getMessage() !== '', $error->getCode(), $error->getPrevious());
}
?>
--EXPECT--
Exception: Exception, Throwable
ConfigException: RoadRunner\Exception, Exception, Throwable
RoleException: RoadRunner\Exception, Exception, Throwable
ClientGoneException: RoadRunner\Exception, Exception, Throwable
ChannelException: RoadRunner\Exception, Exception, Throwable
RpcException: RoadRunner\Exception, Exception, Throwable
KeyValueException: RoadRunner\Exception, Exception, Throwable
LockException: RoadRunner\Exception, Exception, Throwable
MetricsException: RoadRunner\Exception, Exception, Throwable
ServiceException: RoadRunner\Exception, Exception, Throwable
string(24) "RoadRunner\RoleException"
bool(true)
int(0)
NULL
