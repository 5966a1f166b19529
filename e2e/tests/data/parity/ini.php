<?php // Settings that the command line has otherwise.
header('Content-Type: text/plain');
foreach (['max_execution_time', 'max_input_time', 'output_buffering', 'html_errors', 'memory_limit', 'display_errors', 'log_errors', 'variables_order', 'request_order', 'post_max_size', 'upload_max_filesize', 'auto_globals_jit', 'default_charset', 'default_mimetype', 'short_open_tag', 'error_reporting', 'session.use_strict_mode', 'zend.assertions', 'opcache.enable', 'ignore_user_abort', 'enable_post_data_reading'] as $name) {
    echo $name, ' = ', var_export(ini_get($name), true), "\n";
}
var_dump((bool) ini_get('implicit_flush'), (bool) ini_get('register_argc_argv'));
