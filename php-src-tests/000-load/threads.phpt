--TEST--
A process that only loads the module has no threads and no descriptors more
--EXTENSIONS--
roadrunner
--FILE--
<?php
preg_match('/^Threads:\s+(\d+)/m', file_get_contents('/proc/self/status'), $match);
var_dump((int) $match[1]);
$open = [];
foreach (scandir('/proc/self/fd') as $name) {
    $target = @readlink("/proc/self/fd/$name");
    if ($target !== false && preg_match('/memfd|eventfd|eventpoll|pidfd|signalfd/', $target)) {
        $open[] = $target;
    }
}
var_dump($open);
?>
--EXPECT--
int(1)
array(0) {
}
