<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use Psr\Http\Message\UriInterface;

/**
 * What client and server requests have in common: method, URI and target.
 *
 * @internal
 */
trait RequestLine
{
    private ?string $method = null;

    private ?UriInterface $uri = null;

    private ?string $target = null;

    public function getMethod(): string
    {
        return $this->method;
    }

    public function withMethod($method): static
    {
        $copy = $this->copy();
        $copy->method = self::method($method);
        return $copy;
    }

    public function getUri(): UriInterface
    {
        return $this->uri;
    }

    public function withUri(UriInterface $uri, $preserveHost = false): static
    {
        $copy = $this->copy();
        $copy->uri = $uri;
        if (!$preserveHost || $this->getHeaderLine('host') === '') {
            $copy->hostFromUri();
        }
        return $copy;
    }

    public function getRequestTarget(): string
    {
        if ($this->target !== null) {
            return $this->target;
        }
        $uri = $this->getUri();
        $path = $uri->getPath();
        $query = $uri->getQuery();
        return ($path === '' ? '/' : $path) . ($query === '' ? '' : "?$query");
    }

    public function withRequestTarget($requestTarget): static
    {
        if (!\is_string($requestTarget) || \preg_match('/\s/', $requestTarget) === 1) {
            throw new \InvalidArgumentException('a request target is a string without blanks');
        }
        $copy = $this->copy();
        $copy->target = $requestTarget;
        return $copy;
    }

    private static function method(mixed $method): string
    {
        if (!\is_string($method) || \preg_match("/^[a-zA-Z0-9!#$%&'*+.^_`|~-]+$/D", $method) !== 1) {
            throw new \InvalidArgumentException('a method is a non-empty string without blanks or separators');
        }
        return $method;
    }

    /** `Host` is the first header (RFC 9112, 3.2). */
    private function hostFromUri(): void
    {
        $host = $this->uri->getHost();
        if ($host === '') {
            return;
        }
        $port = $this->uri->getPort();
        if ($this->headers === null) {
            $this->fetchHeaders();
        }
        $name = $this->names['host'] ?? 'Host';
        $this->names['host'] = $name;
        $this->headers = [$name => [$port === null ? $host : "$host:$port"]] + $this->headers;
        $this->headers[$name] = [$port === null ? $host : "$host:$port"];
    }
}
