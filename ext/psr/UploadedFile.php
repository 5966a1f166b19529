<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use Psr\Http\Message\StreamFactoryInterface;
use Psr\Http\Message\StreamInterface;
use Psr\Http\Message\UploadedFileFactoryInterface;
use Psr\Http\Message\UploadedFileInterface;

/** An uploaded file (PSR-7). */
final class UploadedFile implements UploadedFileInterface
{
    private bool $moved = false;

    /** @param string|StreamInterface $file a path or the content */
    public function __construct(
        private string|StreamInterface $file,
        private ?int $size = null,
        private int $error = \UPLOAD_ERR_OK,
        private ?string $name = null,
        private ?string $type = null,
        private ?string $fullPath = null,
    ) {
        if ($error < \UPLOAD_ERR_OK || $error > \UPLOAD_ERR_EXTENSION) {
            throw new \InvalidArgumentException('the error of an uploaded file is one of PHP\'s UPLOAD_ERR_*');
        }
    }

    /**
     * The tree of a request's files; its leaves are arrays with `name`, `full_path`, `type`, `tmp_name`, `error` and
     * `size`.
     *
     * @internal
     */
    public static function tree(
        array $files,
        ?UploadedFileFactoryInterface $factory = null,
        ?StreamFactoryInterface $streams = null,
    ): array {
        $tree = [];
        foreach ($files as $key => $file) {
            if (!\is_array($file)) {
                continue;
            }
            if (!isset($file['tmp_name'], $file['error']) || !\is_string($file['tmp_name'])) {
                $tree[$key] = self::tree($file, $factory, $streams);
            } elseif ($factory === null || $streams === null) {
                $path = $file['full_path'] ?? null;
                $tree[$key] = new self($file['tmp_name'], $file['size'], $file['error'], $file['name'], $file['type'], $path);
            } else {
                $good = $file['error'] === \UPLOAD_ERR_OK;
                $stream = $good ? $streams->createStreamFromFile($file['tmp_name']) : $streams->createStream();
                $tree[$key] = $factory->createUploadedFile($stream, $file['size'], $file['error'], $file['name'], $file['type']);
            }
        }
        return $tree;
    }

    public function getStream(): StreamInterface
    {
        $this->alive();
        if (\is_string($this->file)) {
            $resource = @\fopen($this->file, 'r+b');
            if ($resource === false) {
                throw new \RuntimeException("the uploaded file {$this->file} cannot be opened");
            }
            return new Stream($resource);
        }
        return $this->file;
    }

    public function moveTo($targetPath): void
    {
        $this->alive();
        if (!\is_string($targetPath) || $targetPath === '') {
            throw new \InvalidArgumentException('the target of an uploaded file is a non-empty path');
        }
        if (\is_string($this->file)) {
            $this->movePath($this->file, $targetPath);
        } else {
            $this->copyTo($this->file, $targetPath);
        }
        $this->moved = true;
    }

    public function getSize(): ?int
    {
        return $this->size;
    }

    public function getError(): int
    {
        return $this->error;
    }

    public function getClientFilename(): ?string
    {
        return $this->name;
    }

    public function getClientMediaType(): ?string
    {
        return $this->type;
    }

    /** The file's name with its folders, as browsers send them for a folder. */
    public function getClientFullPath(): ?string
    {
        return $this->fullPath;
    }

    private function movePath(string $from, string $to): void
    {
        if (\preg_match('~^[a-z][a-z0-9+.-]+://~i', $to) === 1) {
            $this->copyTo($this->getStream(), $to);
            @\unlink($from);
            return;
        }
        if (!@\rename($from, $to)) {
            throw new \RuntimeException("the uploaded file cannot be moved to $to");
        }
        // As move_uploaded_file() does: it was private while it was temporary.
        @\chmod($to, 0o666 & ~\umask());
    }

    private function copyTo(StreamInterface $from, string $to): void
    {
        $target = @\fopen($to, 'wb');
        if ($target === false) {
            throw new \RuntimeException("the uploaded file cannot be written to $to");
        }
        if ($from->isSeekable()) {
            $from->rewind();
        }
        while (!$from->eof()) {
            $piece = $from->read(1 << 20);
            if (\fwrite($target, $piece) !== \strlen($piece)) {
                \fclose($target);
                throw new \RuntimeException("the uploaded file cannot be written to $to");
            }
        }
        \fclose($target);
    }

    private function alive(): void
    {
        if ($this->error !== \UPLOAD_ERR_OK) {
            throw new \RuntimeException("the file was not uploaded; its error is {$this->error}");
        }
        if ($this->moved) {
            throw new \RuntimeException('the uploaded file was moved before');
        }
    }
}
