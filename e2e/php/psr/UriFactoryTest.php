<?php

declare(strict_types=1);

use RoadRunner\Psr\HttpFactory;

final class UriFactoryTest extends Interop\Http\Factory\UriFactoryTestCase
{
    protected function createUriFactory()
    {
        return new HttpFactory();
    }
}
