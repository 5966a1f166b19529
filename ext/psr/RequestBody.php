<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use Psr\Http\Message\StreamInterface;
use RoadRunner\Request as Native;

/**
 * The body of a request (PSR-7) as it comes in: what nobody reads is not waited for.
 *
 * It can be rewound until more than a megabyte of it was read. A longer one is read in constant memory, from its start
 * to its end, or goes into a temporary file when a position further on is asked for before that.
 *
 * @internal
 */
final class RequestBody implements StreamInterface
{
    /** Bytes that are kept for reading them again. */
    private const KEPT = 1 << 20;

    /** All that was fetched; null: no longer kept. */
    private ?string $kept = '';

    private int $fetched = 0;
    private int $position = 0;
    private bool $ended = false;

    /** @var resource|null the whole body, once it had to be put somewhere */
    private $file = null;

    public function __construct(private ?Native $request)
    {
    }

    public function __toString(): string
    {
        if ($this->request === null) {
            return '';
        }
        if ($this->position > 0) {
            $this->seek(0);
        }
        return $this->getContents();
    }

    public function close(): void
    {
        if (\is_resource($this->file)) {
            \fclose($this->file);
        }
        $this->let();
    }

    public function detach()
    {
        if ($this->request === null) {
            return null;
        }
        if ($this->file === null) {
            $this->spool();
        }
        $file = $this->file;
        $this->let();
        return $file;
    }

    public function getSize(): ?int
    {
        if ($this->request === null) {
            return null;
        }
        if ($this->ended) {
            return $this->fetched;
        }
        $stated = $this->request->header('content-length');
        if ($stated !== null && \ctype_digit($stated)) {
            return (int) $stated;
        }
        return $this->request->header('transfer-encoding') === null && $this->request->protocol() !== 'HTTP/2.0' ? 0 : null;
    }

    public function tell(): int
    {
        $this->alive();
        return $this->file === null ? $this->position : \ftell($this->file);
    }

    public function eof(): bool
    {
        if ($this->request === null) {
            return true;
        }
        return $this->file === null ? $this->ended && $this->position === $this->fetched : \feof($this->file);
    }

    public function isSeekable(): bool
    {
        return $this->request !== null && ($this->kept !== null || $this->file !== null);
    }

    public function seek($offset, $whence = \SEEK_SET): void
    {
        $this->alive();
        if ($this->file === null) {
            $to = match ($whence) {
                \SEEK_SET => $offset,
                \SEEK_CUR => $this->position + $offset,
                default => null,
            };
            if ($to === $this->position) {
                return;
            }
            if ($this->kept === null) {
                throw new \RuntimeException('the request body was read further than it is kept; it cannot be rewound');
            }
            if ($to !== null && $to >= 0 && $to <= $this->fetched) {
                $this->position = $to;
                return;
            }
            $this->spool();
        }
        if (\fseek($this->file, $offset, $whence) !== 0) {
            throw new \RuntimeException("the request body has no position $offset");
        }
    }

    public function rewind(): void
    {
        $this->seek(0);
    }

    public function isWritable(): bool
    {
        return false;
    }

    public function write($string): int
    {
        throw new \RuntimeException('the body of a request cannot be written to');
    }

    public function isReadable(): bool
    {
        return $this->request !== null;
    }

    public function read($length): string
    {
        if ($this->file !== null) {
            return $length > 0 ? (string) \fread($this->file, $length) : '';
        }
        $this->alive();
        if ($length <= 0) {
            return '';
        }
        if ($this->position < $this->fetched) {
            $piece = \substr((string) $this->kept, $this->position, $length);
        } else {
            $piece = $this->fetch($length);
        }
        $this->position += \strlen($piece);
        return $piece;
    }

    public function getContents(): string
    {
        if ($this->file !== null) {
            return (string) \stream_get_contents($this->file);
        }
        $this->alive();
        if ($this->fetched === 0 && !$this->ended) {
            $text = $this->request->body();
            $this->kept = $text;
            $this->ended = true;
            $this->fetched = $this->position = \strlen($text);
            return $text;
        }
        $text = $this->position < $this->fetched ? \substr((string) $this->kept, $this->position) : '';
        while (!$this->ended) {
            $text .= $this->fetch(65536);
        }
        $this->position = $this->fetched;
        return $text;
    }

    public function getMetadata($key = null)
    {
        if ($this->request === null) {
            return $key === null ? [] : null;
        }
        $meta = [
            'timed_out' => false, 'blocked' => true, 'eof' => $this->eof(), 'wrapper_type' => 'PHP',
            'stream_type' => 'Input', 'mode' => 'rb', 'unread_bytes' => 0, 'seekable' => $this->isSeekable(),
            'uri' => 'php://input',
        ];
        return $key === null ? $meta : $meta[$key] ?? null;
    }

    /** The next piece from the client. */
    private function fetch(int $length): string
    {
        if ($this->ended) {
            return '';
        }
        $piece = $this->request->read($length);
        if ($piece === null) {
            $this->ended = true;
            return '';
        }
        $this->fetched += \strlen($piece);
        if ($this->kept !== null) {
            $this->kept = $this->fetched > self::KEPT ? null : $this->kept . $piece;
        }
        return $piece;
    }

    /** Puts the whole body where it can be positioned: memory while it is small, then a file. */
    private function spool(): void
    {
        if ($this->kept === null) {
            throw new \RuntimeException('the request body was read further than it is kept; it cannot be rewound');
        }
        $file = \fopen('php://temp', 'w+b');
        \fwrite($file, $this->kept);
        while (!$this->ended) {
            $piece = $this->request->read(65536);
            if ($piece === null) {
                $this->ended = true;
            } else {
                \fwrite($file, $piece);
                $this->fetched += \strlen($piece);
            }
        }
        \fseek($file, $this->position);
        $this->kept = null;
        $this->file = $file;
    }

    private function alive(): void
    {
        if ($this->request === null) {
            throw new \RuntimeException('the stream is closed or detached');
        }
    }

    private function let(): void
    {
        $this->request = null;
        $this->file = null;
        $this->kept = null;
    }
}
