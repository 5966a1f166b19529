<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use Psr\Http\Message\ServerRequestInterface;
use Psr\Http\Message\StreamInterface;
use Psr\Http\Message\UploadedFileInterface;
use Psr\Http\Message\UriInterface;
use RoadRunner\Request as Native;

/**
 * A request that a server got (PSR-7). Of one that was made from a `RoadRunner\Request`, each value is made when it is
 * asked for.
 */
final class ServerRequest implements ServerRequestInterface
{
    use Message;
    use RequestLine;

    private ?Native $native = null;
    private ?array $server = null;
    private ?array $cookies = null;
    private ?array $query = null;
    private ?array $files = null;
    private array $attributes = [];
    private array|object|null $parsed = null;
    private bool $isParsed = false;

    /**
     * @param string|Native $method with a `RoadRunner\Request` nothing else is needed
     * @param array<string, mixed> $serverParams
     * @param array<string, string|int|float|list<string|int|float>> $headers
     * @param string|resource|StreamInterface|null $body
     */
    public function __construct(
        string|Native $method,
        string|UriInterface $uri = '',
        array $serverParams = [],
        array $headers = [],
        $body = null,
        string $version = '1.1',
    ) {
        if ($method instanceof Native) {
            $this->native = $method;
            $this->headers = null;
            $this->version = '';
            return;
        }
        $this->method = self::method($method);
        $this->uri = \is_string($uri) ? new Uri($uri) : $uri;
        $this->server = $serverParams;
        $this->cookies = $this->query = $this->files = [];
        $this->isParsed = true;
        $this->setHeaders($headers);
        if (!isset($this->names['host'])) {
            $this->hostFromUri();
        }
        if ($body !== null && $body !== '') {
            $this->body = Stream::of($body);
        }
        $this->version = $version;
        if ($this->uri->getQuery() !== '') {
            \parse_str($this->uri->getQuery(), $this->query);
        }
    }

    /**
     * As `new ServerRequest($request)`, which costs more.
     *
     * @internal
     */
    public static function of(Native $native): self
    {
        static $blank = null;
        if ($blank === null) {
            $blank = (new \ReflectionClass(self::class))->newInstanceWithoutConstructor();
            $blank->headers = null;
            $blank->version = '';
        }
        $request = clone $blank;
        $request->native = $native;
        return $request;
    }

    public function getMethod(): string
    {
        return $this->method ??= $this->native->method();
    }

    public function getUri(): UriInterface
    {
        return $this->uri ??= Uri::of($this->native);
    }

    public function getRequestTarget(): string
    {
        if ($this->target === null && $this->uri === null) {
            $query = $this->native->queryString();
            return $query === '' ? $this->native->path() : $this->native->path() . '?' . $query;
        }
        $uri = $this->getUri();
        $path = $uri->getPath();
        $query = $uri->getQuery();
        return $this->target ?? ($path === '' ? '/' : $path) . ($query === '' ? '' : "?$query");
    }

    public function getProtocolVersion(): string
    {
        return $this->version === '' ? \substr($this->native->protocol(), 5) : $this->version;
    }

    public function getHeaderLine($name): string
    {
        if ($this->headers === null) {
            return $this->native->header($name) ?? '';
        }
        return \implode(', ', $this->getHeader($name));
    }

    public function hasHeader($name): bool
    {
        if ($this->headers === null) {
            return $this->native->header($name) !== null;
        }
        return isset($this->names[\strtolower($name)]);
    }

    public function getBody(): StreamInterface
    {
        return $this->body ??= $this->native === null ? new Stream() : new RequestBody($this->native);
    }

    public function getServerParams(): array
    {
        return $this->server ??= $this->native->server();
    }

    public function getCookieParams(): array
    {
        return $this->cookies ??= Input::cookies($this->native);
    }

    public function withCookieParams(array $cookies): static
    {
        $copy = $this->copy();
        $copy->cookies = $cookies;
        return $copy;
    }

    public function getQueryParams(): array
    {
        return $this->query ??= $this->native->query();
    }

    public function withQueryParams(array $query): static
    {
        $copy = $this->copy();
        $copy->query = $query;
        return $copy;
    }

    public function getUploadedFiles(): array
    {
        return $this->files ??= UploadedFile::tree(Input::files($this->native));
    }

    public function withUploadedFiles(array $uploadedFiles): static
    {
        \array_walk_recursive($uploadedFiles, static function (mixed $file): void {
            if (!$file instanceof UploadedFileInterface) {
                throw new \InvalidArgumentException('a tree of uploaded files has no other leaves');
            }
        });
        $copy = $this->copy();
        $copy->files = $uploadedFiles;
        return $copy;
    }

    public function getParsedBody()
    {
        if (!$this->isParsed) {
            $this->parsed = Input::form($this->native);
            $this->isParsed = true;
        }
        return $this->parsed;
    }

    public function withParsedBody($data): static
    {
        if ($data !== null && !\is_array($data) && !\is_object($data)) {
            throw new \InvalidArgumentException('a parsed body is an array, an object or null');
        }
        $copy = $this->copy();
        $copy->parsed = $data;
        $copy->isParsed = true;
        return $copy;
    }

    public function getAttributes(): array
    {
        return $this->attributes;
    }

    public function getAttribute($name, $default = null)
    {
        // It may be there and null.
        return $this->attributes[$name] ?? (\array_key_exists($name, $this->attributes) ? null : $default);
    }

    public function withAttribute($name, $value): static
    {
        $copy = $this->copy();
        $copy->attributes[$name] = $value;
        return $copy;
    }

    public function withoutAttribute($name): static
    {
        $copy = $this->copy();
        unset($copy->attributes[$name]);
        return $copy;
    }

    private function copy(): static
    {
        if ($this->native !== null && $this->body === null) {
            // One body for all copies: it can be read once.
            $this->body = new RequestBody($this->native);
        }
        return clone $this;
    }

    private function fetchHeaders(): void
    {
        $this->headers = $this->native->headers();
        $names = \array_keys($this->headers);
        $this->names = $names === [] ? [] : \array_combine($names, \array_map(\strval(...), $names));
    }
}
