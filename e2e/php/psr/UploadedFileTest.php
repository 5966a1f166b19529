<?php

declare(strict_types=1);

use RoadRunner\Psr\{Stream, UploadedFile};

final class UploadedFileTest extends Http\Psr7Test\UploadedFileIntegrationTest
{
    public function createSubject()
    {
        return new UploadedFile(new Stream('writing to tempfile'), 19);
    }
}
