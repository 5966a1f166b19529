<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use Psr\Http\Message\UriInterface;
use RoadRunner\Request as Native;

/** A URI (PSR-7, RFC 3986). */
final class Uri implements UriInterface
{
    private const PORTS = ['http' => 80, 'https' => 443];

    /** What stands for itself in a path, in a query or fragment, in user and password, in a user. */
    private const PATH = "A-Za-z0-9._~!$&'()*+,;=:@/-";
    private const QUERY = "A-Za-z0-9._~!$&'()*+,;=:@/?-";
    private const USERINFO = "A-Za-z0-9._~!$&'()*+,;=:-";
    private const USER = "A-Za-z0-9._~!$&'()*+,;=-";

    /** The request that the parts are still with; path and query are null until they are asked for. */
    private ?Native $native = null;

    private string $scheme = '';
    private string $user = '';
    private string $host = '';
    private ?int $port = null;
    private ?string $path = '';
    private ?string $query = '';
    private string $fragment = '';

    /** @throws \InvalidArgumentException it is no URI */
    public function __construct(string $uri = '')
    {
        if ($uri === '') {
            return;
        }
        // RFC 3986, appendix B.
        $form = '~^(?:([a-z][a-z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$~Dis';
        if (\preg_match($form, $uri, $parts) !== 1) {
            throw new \InvalidArgumentException("no URI: $uri");
        }
        $authority = $parts[2] ?? '';
        $path = $parts[3] ?? '';
        $this->scheme = \strtolower($parts[1] ?? '');
        if ($authority !== '') {
            $this->setAuthority($authority, $uri);
        } elseif ($this->scheme === '' && \str_contains(\strstr("$path/", '/', true), ':')) {
            throw new \InvalidArgumentException("no URI: $uri");
        } elseif (isset(self::PORTS[$this->scheme])) {
            throw new \InvalidArgumentException("a URI without a host: $uri");
        }
        $this->path = self::encoded($path, self::PATH);
        $this->query = self::encoded($parts[4] ?? '', self::QUERY);
        $this->fragment = self::encoded($parts[5] ?? '', self::QUERY);
    }

    /**
     * The URI of a request; each part is made when it is asked for.
     *
     * @internal
     */
    public static function of(Native $native): self
    {
        static $blank = null;
        $uri = clone ($blank ??= new self());
        $uri->native = $native;
        $uri->path = null;
        $uri->query = null;
        return $uri;
    }

    public function getScheme(): string
    {
        $this->native === null || $this->settle();
        return $this->scheme;
    }

    public function getAuthority(): string
    {
        $this->native === null || $this->settle();
        if ($this->host === '') {
            return '';
        }
        return ($this->user === '' ? '' : "$this->user@")
            . $this->host
            . ($this->port === null ? '' : ":$this->port");
    }

    public function getUserInfo(): string
    {
        $this->native === null || $this->settle();
        return $this->user;
    }

    public function getHost(): string
    {
        $this->native === null || $this->settle();
        return $this->host;
    }

    public function getPort(): ?int
    {
        $this->native === null || $this->settle();
        return $this->port;
    }

    public function getPath(): string
    {
        $path = $this->path ??= self::encoded($this->native->path(), self::PATH);
        // Two slashes would pass for the start of a host where only the path is used.
        return \str_starts_with($path, '//') ? '/' . \ltrim($path, '/') : $path;
    }

    public function getQuery(): string
    {
        return $this->query ??= self::encoded($this->native->queryString(), self::QUERY);
    }

    public function getFragment(): string
    {
        return $this->fragment;
    }

    public function withScheme($scheme): static
    {
        if (!\is_string($scheme) || \preg_match('/^(?:[a-z][a-z0-9+.-]*)?$/Di', $scheme) !== 1) {
            throw new \InvalidArgumentException('a scheme is a string such as https');
        }
        $copy = $this->copy();
        $copy->scheme = \strtolower($scheme);
        $copy->port = self::port($copy->port, $copy->scheme);
        return $copy;
    }

    public function withUserInfo($user, $password = null): static
    {
        if (!\is_string($user) || $password !== null && !\is_string($password)) {
            throw new \InvalidArgumentException('user and password are strings');
        }
        $copy = $this->copy();
        $copy->user = self::encoded($user, self::USER);
        if ($user !== '' && $password !== null && $password !== '') {
            $copy->user .= ':' . self::encoded($password, self::USERINFO);
        }
        return $copy;
    }

    public function withHost($host): static
    {
        if (!\is_string($host)) {
            throw new \InvalidArgumentException('a host is a string');
        }
        $copy = $this->copy();
        $copy->host = self::host($host, $host);
        return $copy;
    }

    public function withPort($port): static
    {
        if ($port !== null && (!\is_int($port) || $port < 0 || $port > 65535)) {
            throw new \InvalidArgumentException('a port is null or an integer from 0 to 65535');
        }
        $copy = $this->copy();
        $copy->port = self::port($port, $copy->scheme);
        return $copy;
    }

    public function withPath($path): static
    {
        if (!\is_string($path)) {
            throw new \InvalidArgumentException('a path is a string');
        }
        $copy = $this->copy();
        $copy->path = self::encoded($path, self::PATH);
        return $copy;
    }

    public function withQuery($query): static
    {
        if (!\is_string($query)) {
            throw new \InvalidArgumentException('a query is a string');
        }
        $copy = $this->copy();
        $copy->query = self::encoded($query, self::QUERY);
        return $copy;
    }

    public function withFragment($fragment): static
    {
        if (!\is_string($fragment)) {
            throw new \InvalidArgumentException('a fragment is a string');
        }
        $copy = $this->copy();
        $copy->fragment = self::encoded($fragment, self::QUERY);
        return $copy;
    }

    public function __toString(): string
    {
        $this->native === null || $this->settle();
        $text = $this->scheme === '' ? '' : "$this->scheme:";
        $authority = $this->getAuthority();
        $path = $this->path;
        if ($authority !== '' || $this->scheme === 'file') {
            $text .= "//$authority";
            if ($path !== '' && $path[0] !== '/') {
                $path = "/$path";
            }
        } elseif (\str_starts_with($path, '//')) {
            $path = '/' . \ltrim($path, '/');
        }
        return $text
            . $path
            . ($this->query === '' ? '' : "?$this->query")
            . ($this->fragment === '' ? '' : "#$this->fragment");
    }

    private function setAuthority(string $authority, string $uri): void
    {
        $at = \strrpos($authority, '@');
        if ($at !== false) {
            $this->user = self::encoded(\substr($authority, 0, $at), self::USERINFO);
            $authority = \substr($authority, $at + 1);
        }
        $colon = \strrpos($authority, ':');
        if ($colon !== false && \strpos($authority, ']', $colon) === false) {
            $port = \substr($authority, $colon + 1);
            if ($port !== '') {
                if (!\ctype_digit($port) || \strlen($port) > 5 || (int) $port > 65535) {
                    throw new \InvalidArgumentException("no URI, its port is none: $uri");
                }
                $this->port = self::port((int) $port, $this->scheme);
            }
            $authority = \substr($authority, 0, $colon);
        }
        $this->host = self::host($authority, $uri);
    }

    private static function host(string $host, string $uri): string
    {
        if (\strpbrk($host, "/?#@\\ \t\r\n\0") !== false || ($host !== '' && $host[0] !== '[' && \str_contains($host, ':'))) {
            throw new \InvalidArgumentException("no URI, its host is none: $uri");
        }
        return \strtolower($host);
    }

    private static function port(?int $port, string $scheme): ?int
    {
        return $port === (self::PORTS[$scheme] ?? -1) ? null : $port;
    }

    /** A copy that may be changed. */
    private function copy(): static
    {
        $this->native === null || $this->settle();
        return clone $this;
    }

    /** Takes over what is still with the request. */
    private function settle(): void
    {
        $native = $this->native;
        $this->getPath();
        $this->getQuery();
        $this->native = null;
        $this->scheme = $native->isSecure() ? 'https' : 'http';
        $authority = $native->host();
        if ($authority !== '') {
            try {
                $this->setAuthority($authority, $authority);
            } catch (\InvalidArgumentException) {
                // A client may send what it likes; the header has it.
            }
        }
    }

    /** Percent-encodes what may not stand in a part; escapes that are there stay. */
    private static function encoded(string $part, string $plain): string
    {
        if ($part === '' || \preg_match("#[^$plain]#", $part) === 0) {
            return $part;
        }
        return \preg_replace_callback(
            "#(?:[^%$plain]+|%(?![0-9A-Fa-f]{2}))#",
            static fn (array $match): string => \rawurlencode($match[0]),
            $part,
        );
    }
}
