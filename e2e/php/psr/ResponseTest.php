<?php

declare(strict_types=1);

use RoadRunner\Psr\Response;

final class ResponseTest extends Http\Psr7Test\ResponseIntegrationTest
{
    public function createSubject()
    {
        return new Response();
    }
}
