--TEST--
Server::run() in a script from stdin: the server could not start it again
--EXTENSIONS--
roadrunner
--FILE--
<?php
$script = '<?php
try {
    RoadRunner\Server::create()->http("127.0.0.1:0", fn () => "x")->run();
} catch (RoadRunner\ConfigException $error) {
    echo $error->getMessage(), "\n";
}';
$folder = ini_get('extension_dir');
$command = [PHP_BINARY, '-n', '-d', "extension=$folder/roadrunner.so"];
$process = proc_open($command, [['pipe', 'r'], ['pipe', 'w'], STDERR], $pipes);
fwrite($pipes[0], $script);
fclose($pipes[0]);
echo stream_get_contents($pipes[1]);
echo 'exit code ', proc_close($process), "\n";
?>
--EXPECT--
Server::run(): the script must be a file (or php -r), because the server starts it again
exit code 0
