<?php

declare(strict_types=1);

use RoadRunner\Psr\Request;

final class RequestTest extends Http\Psr7Test\RequestIntegrationTest
{
    public function createSubject()
    {
        return new Request('GET', '/');
    }
}
