--TEST--
The module loads, once, with its classes and nothing else
--EXTENSIONS--
roadrunner
--FILE--
<?php
$module = new ReflectionExtension('roadrunner');
var_dump($module->getName(), $module->getINIEntries(), $module->getConstants(), $module->getDependencies());
var_dump(preg_match('/^\d+\.\d+\.\d+/', phpversion('roadrunner')));
// A debug build can also tell its own stub.
var_dump(array_diff(array_keys($module->getFunctions()), ['rr_stub']));
$classes = array_filter($module->getClassNames(), fn (string $name) => str_starts_with($name, 'RoadRunner\\'));
sort($classes);
echo implode("\n", $classes), "\n";
?>
--EXPECT--
string(10) "roadrunner"
array(0) {
}
array(0) {
}
array(0) {
}
int(1)
array(0) {
}
RoadRunner\ChannelException
RoadRunner\Cli
RoadRunner\ClientGoneException
RoadRunner\ConfigException
RoadRunner\Counter
RoadRunner\Exception
RoadRunner\Gauge
RoadRunner\Histogram
RoadRunner\KeyValue
RoadRunner\KeyValueException
RoadRunner\Lock
RoadRunner\LockException
RoadRunner\Log
RoadRunner\LogChannel
RoadRunner\Metrics
RoadRunner\MetricsException
RoadRunner\Request
RoadRunner\Response
RoadRunner\RoleException
RoadRunner\Rpc
RoadRunner\RpcException
RoadRunner\Server
RoadRunner\Service
RoadRunner\ServiceException
RoadRunner\Summary
RoadRunner\TimeoutError
RoadRunner\Worker
