--TEST--
Server::create(): wrong settings name the key and what is expected
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/../attempt.inc';

use RoadRunner\Server;

$cases = [
    'nothing' => [],
    'several' => ['http' => ['address' => ':8080', 'pool' => ['num_workers' => 2, 'max_jobs' => 100]], 'logs' => ['level' => 'warn']],
    'a word for a number' => ['http' => ['pool' => ['num_workers' => 'many']]],
    'out of range' => ['http' => ['pool' => ['num_workers' => -1]]],
    'a fraction' => ['http' => ['pool' => ['num_workers' => 1.5]]],
    'a value for a section' => ['http' => ['pool' => 8]],
    'no unit' => ['http' => ['read_timeout' => '5']],
    'one of' => ['logs' => ['encoding' => 'loud']],
    'one of, and the default else' => ['logs' => ['mode' => 'loud']],
    'a key that is missing still' => ['http' => ['ssl' => ['key' => 'a.key']]],
    'not a flag' => ['http' => ['pool' => ['debug' => 'perhaps']]],
    'a list for a text' => ['server' => ['user' => ['a']]],
    'two faults' => ['http' => ['address' => 'here', 'internal_error_code' => 99]],
    'an object' => ['http' => new stdClass()],
    'no settings' => 'x',
];
foreach ($cases as $name => $settings) {
    attempt($name, fn () => Server::create($settings));
}
$deep = 1;
for ($i = 0; $i < 40; $i++) {
    $deep = ['a' => $deep];
}
attempt('deep', fn () => Server::create($deep));
$endless = [];
$endless['a'] = &$endless;
attempt('endless', fn () => Server::create($endless));
attempt('without arguments', fn () => Server::create());
?>
--EXPECT--
nothing: RoadRunner\Server
several: RoadRunner\Server
a word for a number: RoadRunner\ConfigException: Server::create(): http.pool.num_workers: expected a number, got "many"
out of range: RoadRunner\ConfigException: Server::create(): http.pool.num_workers: expected a number from 0 to 16384, got -1
a fraction: RoadRunner\ConfigException: Server::create(): http.pool.num_workers: expected a whole number, got 1.5
a value for a section: RoadRunner\ConfigException: Server::create(): http.pool: expected a section, that is keys with values, got 8
no unit: RoadRunner\ConfigException: Server::create(): http.read_timeout: "5" has no unit; write "5s" for seconds
one of: RoadRunner\ConfigException: Server::create(): logs.encoding: expected one of auto, console, json, got "loud"
one of, and the default else: RoadRunner\Server
a key that is missing still: RoadRunner\Server
not a flag: RoadRunner\ConfigException: Server::create(): http.pool.debug: expected true or false, got "perhaps"
a list for a text: RoadRunner\ConfigException: Server::create(): server.user: expected a text, got a list
two faults: RoadRunner\ConfigException: Server::create(): http.internal_error_code: expected a number from 100 to 599, got 99
Server::create(): http.address: malformed http server address "here"; write host:port or unix://file
an object: RoadRunner\ConfigException: a setting is a string, number, bool, null or an array of those
no settings: RoadRunner\ConfigException: Server::create(): expected keys with values, such as `version: "3"`, got "x"
deep: RoadRunner\ConfigException: settings are nested too deeply
endless: RoadRunner\ConfigException: settings are nested too deeply
without arguments: RoadRunner\Server
