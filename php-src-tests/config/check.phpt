--TEST--
Server::check() and fromFile(): warnings, faults with their line, overrides
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/../attempt.inc';

use RoadRunner\Server;

$folder = sys_get_temp_dir() . '/roadrunner-check-' . getmypid();
mkdir($folder);
chdir($folder);
file_put_contents('good.yaml', "version: '3'\nhttp:\n  address: '127.0.0.1:0'\n");
file_put_contents('odd.yaml', "version: '3'\nhttp:\n  adress: ':1'\n  address: ':1'\n  pool: {num_worker: 2}\n");
file_put_contents('wrong.yaml', "version: '3'\nhttp:\n  address: ':1'\n  pool:\n    num_workers: many\n");
file_put_contents('broken.yaml', "version: '3'\nhttp: [\n");
file_put_contents('versionless.yaml', "http:\n  address: ':1'\n");
file_put_contents('variables.yaml', "version: '3'\nhttp:\n  address: '127.0.0.1:\${RR_TEST_PORT:-nowhere}'\n  pool:\n    num_workers: \${RR_TEST_WORKERS:-few}\n");

foreach (['good', 'odd', 'wrong', 'broken', 'versionless', 'variables', 'missing'] as $name) {
    attempt("check $name", fn () => Server::check("$name.yaml"));
}
putenv('RR_TEST_WORKERS=3');
attempt('check variables, set', fn () => Server::check('variables.yaml'));
attempt('check the default', fn () => Server::check());
attempt('check a folder', fn () => Server::check('.'));
file_put_contents('rr.toml', "version = '3'\n[http]\naddress = ':1'\nmax_headers = 'many'\n");
attempt('check toml', fn () => Server::check('rr.toml'));
attempt('check ini', fn () => Server::check('rr.ini'));
attempt('fromFile', fn () => Server::fromFile('good.yaml'));
attempt('fromFile wrong', fn () => Server::fromFile('wrong.yaml'));
attempt('fromFile mended', fn () => Server::fromFile('wrong.yaml', ['http.pool.num_workers=2']));
attempt('fromFile spoilt', fn () => Server::fromFile('good.yaml', ['http.pool.num_workers=x']));
attempt('fromFile with no override', fn () => Server::fromFile('good.yaml', ['nonsense']));
attempt('set over a file', fn () => Server::fromFile('good.yaml')->set('http.pool.num_workers', 'x'));
?>
--CLEAN--
<?php
foreach (glob(sys_get_temp_dir() . '/roadrunner-check-*') as $folder) {
    array_map('unlink', glob("$folder/*"));
    rmdir($folder);
}
?>
--EXPECTF--
check good: []
check odd: ["odd.yaml:3: http.adress: unknown key; did you mean \"address\"?","odd.yaml:5: http.pool.num_worker: unknown key; did you mean \"num_workers\"?"]
check wrong: RoadRunner\ConfigException: wrong.yaml:5: http.pool.num_workers: expected a number, got "many"
check broken: RoadRunner\ConfigException: broken.yaml:3: not valid YAML: %s
check versionless: RoadRunner\ConfigException: versionless.yaml: rr configuration file should contain a version e.g: version: 3
check variables: RoadRunner\ConfigException: variables.yaml:5: http.pool.num_workers: expected a number, got "few"
check missing: RoadRunner\ConfigException: missing.yaml: cannot read missing.yaml: No such file or directory (%s)
check variables, set: []
check the default: RoadRunner\ConfigException: .rr.yaml: cannot read .rr.yaml: No such file or directory (%s)
check a folder: RoadRunner\ConfigException: .: cannot read .: Is a directory (%s)
check toml: RoadRunner\ConfigException: rr.toml:4: http.max_headers: expected a number, got "many"
check ini: RoadRunner\ConfigException: rr.ini: ini files are not read; write the settings as .yaml, .json or .toml
fromFile: RoadRunner\Server
fromFile wrong: RoadRunner\ConfigException: wrong.yaml:5: http.pool.num_workers: expected a number, got "many"
fromFile mended: RoadRunner\Server
fromFile spoilt: RoadRunner\ConfigException: -o: http.pool.num_workers: expected a number, got "x"
fromFile with no override: RoadRunner\ConfigException: -o: invalid flag `nonsense`, write it as -o key=value
set over a file: RoadRunner\ConfigException: %s: http.pool.num_workers: expected a number, got "x"
