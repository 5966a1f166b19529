<?php

declare(strict_types=1);

use RoadRunner\Psr\Uri;

final class UriTest extends Http\Psr7Test\UriIntegrationTest
{
    public function createUri($uri)
    {
        return new Uri($uri);
    }
}
