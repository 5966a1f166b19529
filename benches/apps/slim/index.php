<?php
// The app of app.php behind php-fpm.
declare(strict_types=1);

require __DIR__ . '/app.php';

$response = app()(Slim\Http\Request::createFromEnvironment(new Slim\Http\Environment($_SERVER)));
http_response_code($response->getStatusCode());
foreach ($response->getHeaders() as $name => $values) {
    header("$name: " . implode(', ', $values));
}
echo $response->getBody();
