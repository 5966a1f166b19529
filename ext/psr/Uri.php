<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use Psr\Http\Message\UriInterface;

/** A URI (PSR-7, RFC 3986). */
final class Uri implements UriInterface
{
    private const PORTS = ['http' => 80, 'https' => 443];

    private string $scheme = '';
    private string $user = '';
    private string $host = '';
    private ?int $port = null;
    private string $path = '';
    private string $query = '';
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
        $this->path = self::encoded($path, '/');
        $this->query = self::encoded($parts[4] ?? '', '/?');
        $this->fragment = self::encoded($parts[5] ?? '', '/?');
    }

    /**
     * A URI from the parts that a server has of it.
     *
     * @internal
     */
    public static function ofRequest(string $scheme, string $authority, string $path, string $query): self
    {
        $uri = new self();
        $uri->scheme = $scheme;
        if ($authority !== '') {
            try {
                $uri->setAuthority($authority, $authority);
            } catch (\InvalidArgumentException) {
                // A client may send what it likes; the header has it.
            }
        }
        // A target is printable, or the server would have refused it; most need no second look.
        $uri->path = self::encoded($path, '/');
        $uri->query = self::encoded($query, '/?');
        return $uri;
    }

    public function getScheme(): string
    {
        return $this->scheme;
    }

    public function getAuthority(): string
    {
        if ($this->host === '') {
            return '';
        }
        return ($this->user === '' ? '' : "$this->user@")
            . $this->host
            . ($this->port === null ? '' : ":$this->port");
    }

    public function getUserInfo(): string
    {
        return $this->user;
    }

    public function getHost(): string
    {
        return $this->host;
    }

    public function getPort(): ?int
    {
        return $this->port;
    }

    public function getPath(): string
    {
        // Two slashes would pass for the start of a host where only the path is used.
        return \str_starts_with($this->path, '//') ? '/' . \ltrim($this->path, '/') : $this->path;
    }

    public function getQuery(): string
    {
        return $this->query;
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
        $copy = clone $this;
        $copy->scheme = \strtolower($scheme);
        $copy->port = self::port($copy->port, $copy->scheme);
        return $copy;
    }

    public function withUserInfo($user, $password = null): static
    {
        if (!\is_string($user) || $password !== null && !\is_string($password)) {
            throw new \InvalidArgumentException('user and password are strings');
        }
        $copy = clone $this;
        $copy->user = self::encoded($user, '', ':@');
        if ($user !== '' && $password !== null && $password !== '') {
            $copy->user .= ':' . self::encoded($password, '', '@');
        }
        return $copy;
    }

    public function withHost($host): static
    {
        if (!\is_string($host)) {
            throw new \InvalidArgumentException('a host is a string');
        }
        $copy = clone $this;
        $copy->host = self::host($host, $host);
        return $copy;
    }

    public function withPort($port): static
    {
        if ($port !== null && (!\is_int($port) || $port < 0 || $port > 65535)) {
            throw new \InvalidArgumentException('a port is null or an integer from 0 to 65535');
        }
        $copy = clone $this;
        $copy->port = self::port($port, $this->scheme);
        return $copy;
    }

    public function withPath($path): static
    {
        if (!\is_string($path)) {
            throw new \InvalidArgumentException('a path is a string');
        }
        $copy = clone $this;
        $copy->path = self::encoded($path, '/');
        return $copy;
    }

    public function withQuery($query): static
    {
        if (!\is_string($query)) {
            throw new \InvalidArgumentException('a query is a string');
        }
        $copy = clone $this;
        $copy->query = self::encoded($query, '/?');
        return $copy;
    }

    public function withFragment($fragment): static
    {
        if (!\is_string($fragment)) {
            throw new \InvalidArgumentException('a fragment is a string');
        }
        $copy = clone $this;
        $copy->fragment = self::encoded($fragment, '/?');
        return $copy;
    }

    public function __toString(): string
    {
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
            $this->user = self::encoded(\substr($authority, 0, $at), '', '@');
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

    /** Percent-encodes what may not stand in a part; escapes that are there stay. */
    private static function encoded(string $part, string $more, string $less = ''): string
    {
        $plain = "-ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~!$&'()*+,;=:@" . $more;
        if ($less !== '') {
            $plain = \str_replace(\str_split($less), '', $plain);
        }
        $length = \strspn($part, $plain);
        if ($length === \strlen($part)) {
            return $part;
        }
        $class = \preg_quote($plain, '~');
        return \preg_replace_callback(
            "~(?:[^$class%]+|%(?![0-9A-Fa-f]{2}))~",
            static fn (array $match): string => \rawurlencode($match[0]),
            $part,
        );
    }
}
