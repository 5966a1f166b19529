<?php // A script that other files belong to.
header('Content-Type: text/plain');
$first = require_once __DIR__ . '/lib.inc';
$again = require_once __DIR__ . '/lib.inc';
var_dump($first, $again, array_map('basename', get_included_files()), defined('STDIN'), array_key_exists('STDERR', get_defined_constants()));
require_once __DIR__ . '/scope.php';
