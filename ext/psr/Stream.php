<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use Psr\Http\Message\StreamInterface;

/** A stream (PSR-7) over a PHP resource, or over a string without one. */
final class Stream implements StreamInterface
{
    /** The content, while there is no resource. */
    private ?string $text = null;

    private int $position = 0;

    /** Whether the end was read over, which is what `eof()` tells. */
    private bool $over = false;

    /** @var resource|null */
    private $resource = null;

    private bool $seekable = true;
    private bool $readable = true;
    private bool $writable = true;

    /** @param string|resource $body a string is the content, with the position at its start */
    public function __construct($body = '')
    {
        if (\is_string($body)) {
            $this->text = $body;
            return;
        }
        if (!\is_resource($body) || \get_resource_type($body) !== 'stream') {
            throw new \InvalidArgumentException('a stream is made of a string or a stream resource');
        }
        $meta = \stream_get_meta_data($body);
        $mode = $meta['mode'];
        $both = \str_contains($mode, '+');
        $this->resource = $body;
        $this->seekable = $meta['seekable'] && \fseek($body, 0, \SEEK_CUR) === 0;
        $this->readable = $both || $mode[0] === 'r';
        $this->writable = $both || $mode[0] !== 'r';
    }

    /**
     * @internal
     * @param string|resource|StreamInterface $body
     */
    public static function of($body): StreamInterface
    {
        if ($body instanceof StreamInterface) {
            return $body;
        }
        $stream = new self($body);
        if ($stream->text !== null) {
            // What is written next belongs behind it.
            $stream->position = \strlen($stream->text);
        }
        return $stream;
    }

    /**
     * The content, if it is a string here.
     *
     * @internal
     */
    public function text(): ?string
    {
        return $this->text;
    }

    public function __toString(): string
    {
        if ($this->text !== null) {
            $this->position = \strlen($this->text);
            $this->over = true;
            return $this->text;
        }
        if ($this->seekable) {
            $this->rewind();
        }
        return $this->getContents();
    }

    public function close(): void
    {
        $resource = $this->let();
        if (\is_resource($resource)) {
            \fclose($resource);
        }
    }

    public function detach()
    {
        if ($this->text !== null) {
            $this->resource = \fopen('php://temp', 'w+b');
            \fwrite($this->resource, $this->text);
            \fseek($this->resource, $this->position);
        }
        return $this->let();
    }

    public function getSize(): ?int
    {
        if ($this->text !== null) {
            return \strlen($this->text);
        }
        if ($this->resource === null) {
            return null;
        }
        $stat = \fstat($this->resource);
        // Only files have one that is meant.
        return $stat !== false && ($stat['mode'] & 0o170000) === 0o100000 ? $stat['size'] : null;
    }

    public function tell(): int
    {
        if ($this->text !== null) {
            return $this->position;
        }
        $position = \ftell($this->alive());
        return $position === false ? throw new \RuntimeException('the stream has no position') : $position;
    }

    public function eof(): bool
    {
        if ($this->text !== null) {
            return $this->over;
        }
        return $this->resource === null || \feof($this->resource);
    }

    public function isSeekable(): bool
    {
        return $this->seekable;
    }

    public function seek($offset, $whence = \SEEK_SET): void
    {
        if ($this->text !== null) {
            $length = \strlen($this->text);
            $to = match ($whence) {
                \SEEK_SET => $offset,
                \SEEK_CUR => $this->position + $offset,
                \SEEK_END => $length + $offset,
                default => -1,
            };
            if ($to < 0 || $to > $length) {
                throw new \RuntimeException("the stream has no position $offset");
            }
            $this->position = $to;
            $this->over = false;
            return;
        }
        $resource = $this->alive();
        if (!$this->seekable) {
            throw new \RuntimeException('the stream cannot be rewound or positioned');
        }
        if (\fseek($resource, $offset, $whence) !== 0) {
            throw new \RuntimeException("the stream has no position $offset");
        }
    }

    public function rewind(): void
    {
        $this->seek(0);
    }

    public function isWritable(): bool
    {
        return $this->writable;
    }

    public function write($string): int
    {
        if ($this->text !== null) {
            $length = \strlen($string);
            if ($this->position === \strlen($this->text)) {
                $this->text .= $string;
            } else {
                $this->text = \substr_replace($this->text, $string, $this->position, $length);
            }
            $this->position += $length;
            return $length;
        }
        $resource = $this->alive();
        $written = $this->writable ? \fwrite($resource, $string) : false;
        return $written === false ? throw new \RuntimeException('the stream cannot be written to') : $written;
    }

    public function isReadable(): bool
    {
        return $this->readable;
    }

    public function read($length): string
    {
        if ($length < 0) {
            throw new \RuntimeException('the number of bytes to read is not negative');
        }
        if ($this->text !== null) {
            $piece = \substr($this->text, $this->position, $length);
            $this->position += \strlen($piece);
            $this->over = $this->over || \strlen($piece) < $length || $this->position === \strlen($this->text);
            return $piece;
        }
        $resource = $this->alive();
        if ($length === 0) {
            return '';
        }
        $piece = $this->readable ? \fread($resource, $length) : false;
        return $piece === false ? throw new \RuntimeException('the stream cannot be read') : $piece;
    }

    public function getContents(): string
    {
        if ($this->text !== null) {
            $rest = $this->position === 0 ? $this->text : \substr($this->text, $this->position);
            $this->position = \strlen($this->text);
            $this->over = true;
            return $rest;
        }
        $resource = $this->alive();
        $rest = $this->readable ? \stream_get_contents($resource) : false;
        return $rest === false ? throw new \RuntimeException('the stream cannot be read') : $rest;
    }

    public function getMetadata($key = null)
    {
        if ($this->text !== null) {
            $meta = [
                'timed_out' => false, 'blocked' => true, 'eof' => $this->over, 'wrapper_type' => 'PHP',
                'stream_type' => 'MEMORY', 'mode' => 'w+b', 'unread_bytes' => 0, 'seekable' => true,
                'uri' => 'php://memory',
            ];
        } else {
            $meta = $this->resource === null ? [] : \stream_get_meta_data($this->resource);
        }
        return $key === null ? $meta : $meta[$key] ?? null;
    }

    /** @return resource */
    private function alive()
    {
        if (!\is_resource($this->resource)) {
            throw new \RuntimeException('the stream is closed or detached');
        }
        return $this->resource;
    }

    /** @return resource|null */
    private function let()
    {
        $resource = $this->resource;
        $this->resource = null;
        $this->text = null;
        $this->seekable = $this->readable = $this->writable = false;
        return $resource;
    }
}
