<?php

declare(strict_types=1);

use RoadRunner\Psr\Stream;

final class StreamTest extends Http\Psr7Test\StreamIntegrationTest
{
    protected $skippedTests = [
        'testIsNotSeekable' => 'reads from the internet', 'testIsNotWritable' => 'reads from the internet',
        'testIsNotReadable' => 'reads from the internet', 'testRewindNotSeekable' => 'reads from the internet',
    ];

    public function createStream($data)
    {
        return new Stream($data);
    }
}
