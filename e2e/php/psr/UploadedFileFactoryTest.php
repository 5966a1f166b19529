<?php

declare(strict_types=1);

use RoadRunner\Psr\HttpFactory;

final class UploadedFileFactoryTest extends Interop\Http\Factory\UploadedFileFactoryTestCase
{
    protected function createUploadedFileFactory()
    {
        return new HttpFactory();
    }

    protected function createStream($content)
    {
        return (new HttpFactory())->createStream($content);
    }
}
