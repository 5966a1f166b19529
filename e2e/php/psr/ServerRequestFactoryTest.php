<?php

declare(strict_types=1);

use RoadRunner\Psr\HttpFactory;

final class ServerRequestFactoryTest extends Interop\Http\Factory\ServerRequestFactoryTestCase
{
    protected function createServerRequestFactory()
    {
        return new HttpFactory();
    }

    protected function createUri($uri)
    {
        return (new HttpFactory())->createUri($uri);
    }
}
