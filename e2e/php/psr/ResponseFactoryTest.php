<?php

declare(strict_types=1);

use RoadRunner\Psr\HttpFactory;

final class ResponseFactoryTest extends Interop\Http\Factory\ResponseFactoryTestCase
{
    protected function createResponseFactory()
    {
        return new HttpFactory();
    }
}
