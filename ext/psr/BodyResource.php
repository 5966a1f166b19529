<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use RoadRunner\Request as Native;

/**
 * The body of a request as a PHP resource that can be rewound: what was read is kept in memory while it is small, then
 * in a temporary file.
 *
 * @internal
 */
final class BodyResource
{
    private const SCHEME = 'roadrunner-body';

    /** @var resource|null set by PHP */
    public $context;

    private ?Native $request = null;

    /** @var resource */
    private $kept;

    private int $fetched = 0;
    private int $position = 0;
    private bool $ended = false;

    /** @return resource */
    public static function open(Native $request)
    {
        static $registered = false;
        if (!$registered) {
            $registered = \stream_wrapper_register(self::SCHEME, self::class);
        }
        $context = \stream_context_create([self::SCHEME => ['request' => $request]]);
        return \fopen(self::SCHEME . '://', 'rb', false, $context);
    }

    public function stream_open(string $path, string $mode, int $options, ?string &$opened): bool
    {
        $this->request = \stream_context_get_options($this->context)[self::SCHEME]['request'] ?? null;
        $this->kept = \fopen('php://temp', 'w+b');
        return $this->request !== null;
    }

    public function stream_read(int $count): string
    {
        if ($this->position < $this->fetched) {
            \fseek($this->kept, $this->position);
            $piece = (string) \fread($this->kept, $count);
        } else {
            $piece = $this->fetch($count);
        }
        $this->position += \strlen($piece);
        return $piece;
    }

    public function stream_eof(): bool
    {
        return $this->ended && $this->position >= $this->fetched;
    }

    public function stream_tell(): int
    {
        return $this->position;
    }

    public function stream_seek(int $offset, int $whence): bool
    {
        if ($whence === \SEEK_END) {
            while (!$this->ended) {
                $this->fetch(65536);
            }
            $offset += $this->fetched;
        }
        while ($offset > $this->fetched && !$this->ended) {
            $this->fetch(65536);
        }
        if ($offset < 0 || $offset > $this->fetched) {
            return false;
        }
        $this->position = $offset;
        return true;
    }

    public function stream_stat(): array
    {
        return [];
    }

    private function fetch(int $count): string
    {
        $piece = $this->ended ? null : $this->request->read($count);
        if ($piece === null) {
            $this->ended = true;
            return '';
        }
        \fseek($this->kept, $this->fetched);
        \fwrite($this->kept, $piece);
        $this->fetched += \strlen($piece);
        return $piece;
    }
}
