<?php // The environment as PHP 4 scripts ask for it.
header('Content-Type: text/plain');
foreach (['REQUEST_METHOD', 'QUERY_STRING', 'REMOTE_ADDR', 'HTTP_X_ONE', 'SCRIPT_NAME', 'HTTP_PROXY', 'NOT_THERE', 'PHP_SELF', 'DOCUMENT_ROOT', 'CONTENT_TYPE'] as $name) {
    echo $name, ' = ', var_export(getenv($name), true), ' ', var_export(getenv($name, true), true), "\n";
}
putenv('SET_HERE=1');
var_dump(getenv('SET_HERE'), isset(getenv()['REQUEST_METHOD']), isset($_ENV['REQUEST_METHOD']), isset($_ENV['PATH']), isset(getenv()['PATH']), isset($_SERVER['PATH']));
