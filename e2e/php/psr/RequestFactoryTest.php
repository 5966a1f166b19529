<?php

declare(strict_types=1);

use RoadRunner\Psr\HttpFactory;

final class RequestFactoryTest extends Interop\Http\Factory\RequestFactoryTestCase
{
    protected function createRequestFactory()
    {
        return new HttpFactory();
    }

    protected function createUri($uri)
    {
        return (new HttpFactory())->createUri($uri);
    }
}
