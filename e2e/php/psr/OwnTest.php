<?php

declare(strict_types=1);

use PHPUnit\Framework\TestCase;
use RoadRunner\Psr\{HttpFactory, Request, Response, Stream, UploadedFile, Uri};

/** What the common suites leave open. */
final class OwnTest extends TestCase
{
    /** @dataProvider uris */
    public function testUri(string $uri, string $want): void
    {
        $this->assertSame($want, (string) new Uri($uri));
    }

    public function uris(): array
    {
        return [
            ['http://[::1]:8080/a', 'http://[::1]:8080/a'],
            ['HTTPS://Example.com:443', 'https://example.com'],
            ['http://a:b%40@c/d e?f="g"#h i', 'http://a:b%40@c/d%20e?f=%22g%22#h%20i'],
            ['//host/path', '//host/path'],
            ['?q', '?q'],
            ['mailto:a@b.c', 'mailto:a@b.c'],
            ['http://h/ä?%zz', 'http://h/%C3%A4?%25zz'],
            ['a/b:c', 'a/b:c'],
        ];
    }

    /** @dataProvider noUris */
    public function testNoUri(string $uri): void
    {
        $this->expectException(InvalidArgumentException::class);
        new Uri($uri);
    }

    public function noUris(): array
    {
        return [['http:///path'], ['http://h:99999/'], ['http://h:x/'], [':'], ['http://a b/'], ['1:2']];
    }

    public function testPathThatLooksLikeAHost(): void
    {
        $uri = (new Uri('http://h//evil/x'));
        $this->assertSame('/evil/x', $uri->getPath());
        $this->assertSame('http://h//evil/x', (string) $uri);
        $this->assertSame('/evil/x', (string) $uri->withHost('')->withScheme(''));
    }

    public function testDefaultPortComesAndGoes(): void
    {
        $uri = new Uri('http://h:443/');
        $this->assertSame(443, $uri->getPort());
        $this->assertNull($uri->withScheme('https')->getPort());
        $this->assertSame('h:80', (new Uri('https://h/'))->withPort(80)->getAuthority());
    }

    public function testHostIsTheFirstHeader(): void
    {
        $request = (new Request('GET', 'http://h:81/', ['A' => 'b']));
        $this->assertSame(['Host' => ['h:81'], 'A' => ['b']], $request->getHeaders());
        $this->assertSame('i', $request->withUri(new Uri('http://i/'))->getHeaderLine('host'));
        $this->assertSame('h:81', $request->withUri(new Uri('http://i/'), true)->getHeaderLine('host'));
    }

    public function testHeaderInjection(): void
    {
        foreach (["a\r\nb: c", "a\nb", "a\0b"] as $value) {
            try {
                new Response(200, ['X' => $value]);
                $this->fail();
            } catch (InvalidArgumentException) {
                $this->addToAssertionCount(1);
            }
        }
    }

    public function testTextStream(): void
    {
        $stream = new Stream('abc');
        $stream->seek(0, SEEK_END);
        $stream->write('def');
        $stream->seek(1);
        $stream->write('X');
        $this->assertSame('cd', $stream->read(2));
        $this->assertSame('ef', $stream->getContents());
        $this->assertTrue($stream->eof());
        $this->assertSame('aXcdef', (string) $stream);
        $stream->seek(2);
        $resource = $stream->detach();
        $this->assertSame('cdef', stream_get_contents($resource));
        $this->assertNull($stream->getSize());
        $this->expectException(RuntimeException::class);
        $stream->read(1);
    }

    public function testBodyOfAResponseGoesOnWhereItEnds(): void
    {
        $response = new Response(200, [], 'a');
        $response->getBody()->write('b');
        $this->assertSame('ab', (string) $response->getBody());
    }

    public function testPipesAreNotSeekable(): void
    {
        [$one, $two] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
        $stream = (new HttpFactory())->createStreamFromResource($one);
        $this->assertFalse($stream->isSeekable());
        $this->assertTrue($stream->isWritable() && $stream->isReadable());
        $this->assertNull($stream->getSize());
        fclose($two);
        $this->expectException(RuntimeException::class);
        $stream->rewind();
    }

    public function testUploadWithAnError(): void
    {
        $file = new UploadedFile('', 0, UPLOAD_ERR_NO_FILE);
        $this->expectException(RuntimeException::class);
        $file->getStream();
    }

    public function testUploadFromAPath(): void
    {
        $from = tempnam(sys_get_temp_dir(), 'psr');
        file_put_contents($from, 'content');
        $file = new UploadedFile($from, 7);
        $this->assertSame('content', (string) $file->getStream());
        $file->moveTo("$from.moved");
        $this->assertFileDoesNotExist($from);
        $this->assertSame('content', file_get_contents("$from.moved"));
        unlink("$from.moved");
    }
}
