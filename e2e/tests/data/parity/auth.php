<?php // HTTP authentication as scripts do it.
if (!isset($_SERVER['PHP_AUTH_USER'])) { header('WWW-Authenticate: Basic realm="here"'); header('HTTP/1.0 401 Unauthorized'); echo 'who?'; exit; }
echo json_encode([$_SERVER['PHP_AUTH_USER'], $_SERVER['PHP_AUTH_PW'] ?? null, $_SERVER['AUTH_TYPE'] ?? null, $_SERVER['PHP_AUTH_DIGEST'] ?? null, $_SERVER['REMOTE_USER'], $_SERVER['HTTP_AUTHORIZATION']]);
