<?php

declare(strict_types=1);

use RoadRunner\Psr\HttpFactory;

final class StreamFactoryTest extends Interop\Http\Factory\StreamFactoryTestCase
{
    protected function createStreamFactory()
    {
        return new HttpFactory();
    }
}
