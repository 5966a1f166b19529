<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use Psr\Http\Message\RequestInterface;
use Psr\Http\Message\StreamInterface;
use Psr\Http\Message\UriInterface;

/** A request to a server (PSR-7). */
final class Request implements RequestInterface
{
    use Message;
    use RequestLine;

    /**
     * @param array<string, string|int|float|list<string|int|float>> $headers
     * @param string|resource|StreamInterface|null $body
     */
    public function __construct(
        string $method,
        string|UriInterface $uri,
        array $headers = [],
        $body = null,
        string $version = '1.1',
    ) {
        $this->method = self::method($method);
        $this->uri = \is_string($uri) ? new Uri($uri) : $uri;
        $this->setHeaders($headers);
        if (!isset($this->names['host'])) {
            $this->hostFromUri();
        }
        if ($body !== null && $body !== '') {
            $this->body = Stream::of($body);
        }
        $this->version = $version;
    }
}
