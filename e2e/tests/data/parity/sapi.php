<?php // What only some kinds of PHP have.
header('Content-Type: text/plain');
echo PHP_SAPI, ' ', defined('STDIN') ? 'STDIN' : 'no STDIN', ' ', defined('STDOUT') ? 'STDOUT' : 'no STDOUT', ' ', defined('STDERR') ? 'STDERR' : 'no STDERR', "\n";
foreach (['fastcgi_finish_request', 'getallheaders', 'apache_request_headers', 'apache_response_headers', 'fpm_get_status', 'cli_set_process_title', 'dl', 'readline', 'pcntl_fork', 'request_parse_body'] as $name) {
    echo $name, ' ', var_export(function_exists($name), true), "\n";
}
