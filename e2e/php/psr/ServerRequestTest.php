<?php

declare(strict_types=1);

use RoadRunner\Psr\ServerRequest;

final class ServerRequestTest extends Http\Psr7Test\ServerRequestIntegrationTest
{
    public function createSubject()
    {
        $_SERVER['REQUEST_METHOD'] = 'GET';
        // The suite of the factories leaves one behind.
        $_COOKIE = [];
        return new ServerRequest('GET', '/', $_SERVER);
    }
}
