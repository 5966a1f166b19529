<?php // All that PHP knows of the request, one line per value. Only what is of the moment or the machine is taken out.
header('Content-Type: text/plain');
$moment = ['USER', 'HOME', 'REMOTE_PORT', 'REQUEST_TIME', 'REQUEST_TIME_FLOAT', 'SERVER_SOFTWARE', 'SERVER_PORT'];
foreach (['_SERVER' => $_SERVER, '_GET' => $_GET, '_POST' => $_POST, '_COOKIE' => $_COOKIE, '_FILES' => $_FILES, '_REQUEST' => $_REQUEST] as $name => $array) {
    if ($name === '_SERVER') {
        ksort($array);
    }
    foreach ($array as $key => $value) {
        echo $name, '[', $key, '] = ', in_array($key, $moment, true) ? gettype($value) : var_export($value, true), "\n";
    }
}
var_dump(php_sapi_name(), PHP_SAPI, http_response_code(), headers_list(), ob_get_level(), getcwd() === __DIR__);
var_dump(connection_status(), ignore_user_abort());
var_dump($_SERVER['REQUEST_TIME'] === (int) $_SERVER['REQUEST_TIME_FLOAT'], file_get_contents('php://input'));
