<?php
// The answers of examples/hello, for php-fpm behind nginx. Content-Length makes the bytes on the wire the same.
declare(strict_types=1);

$body = match ($_SERVER['DOCUMENT_URI']) {
    '/' => 'Hello, World!',
    '/big' => str_repeat('x', 65536),
    '/echo' => file_get_contents('php://input'),
    // Asked once before measuring: a php-fpm without opcache would flatter us.
    '/opcache' => (string) (int) (function_exists('opcache_get_status') && (opcache_get_status(false)['opcache_enabled'] ?? false)),
    default => null,
};
if ($body === null) {
    http_response_code(404);
    $body = 'not found';
}
header('Content-Type: text/plain');
header('Content-Length: ' . strlen($body));
echo $body;
