<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use Psr\Http\Message\StreamInterface;

/**
 * What requests and responses have in common: protocol version, headers and body.
 *
 * @internal
 */
trait Message
{
    private string $version = '1.1';

    /** @var array<array-key, list<string>>|null by the name as it was given; null: still with the server's request */
    private ?array $headers = [];

    /** @var array<array-key, string> lower case => the name as it was given */
    private array $names = [];

    private ?StreamInterface $body = null;

    public function getProtocolVersion(): string
    {
        return $this->version;
    }

    public function withProtocolVersion($version): static
    {
        $copy = $this->copy();
        $copy->version = (string) $version;
        return $copy;
    }

    public function getHeaders(): array
    {
        if ($this->headers === null) {
            $this->fetchHeaders();
        }
        return $this->headers;
    }

    public function hasHeader($name): bool
    {
        if ($this->headers === null) {
            $this->fetchHeaders();
        }
        return isset($this->names[\strtolower($name)]);
    }

    public function getHeader($name): array
    {
        if ($this->headers === null) {
            $this->fetchHeaders();
        }
        $known = $this->names[\strtolower($name)] ?? null;
        return $known === null ? [] : $this->headers[$known];
    }

    public function getHeaderLine($name): string
    {
        return \implode(', ', $this->getHeader($name));
    }

    public function withHeader($name, $value): static
    {
        $value = self::values($value);
        $lower = self::name($name);
        $copy = $this->copy();
        if ($copy->headers === null) {
            $copy->fetchHeaders();
        }
        $known = $copy->names[$lower] ?? null;
        if ($known !== null && $known !== $name) {
            unset($copy->headers[$known]);
        }
        $copy->names[$lower] = $name;
        $copy->headers[$name] = $value;
        return $copy;
    }

    public function withAddedHeader($name, $value): static
    {
        $value = self::values($value);
        $lower = self::name($name);
        $copy = $this->copy();
        if ($copy->headers === null) {
            $copy->fetchHeaders();
        }
        $copy->addHeader($lower, $name, $value);
        return $copy;
    }

    public function withoutHeader($name): static
    {
        if (!$this->hasHeader($name)) {
            return $this->copy();
        }
        $copy = $this->copy();
        $lower = \strtolower($name);
        unset($copy->headers[$copy->names[$lower]], $copy->names[$lower]);
        return $copy;
    }

    public function getBody(): StreamInterface
    {
        return $this->body ??= new Stream();
    }

    public function withBody(StreamInterface $body): static
    {
        if ($body === $this->body) {
            return $this;
        }
        $copy = $this->copy();
        $copy->body = $body;
        return $copy;
    }

    /** A copy that may be changed. */
    private function copy(): static
    {
        return clone $this;
    }

    /** Takes the headers over from where they are; here they never are elsewhere. */
    private function fetchHeaders(): void
    {
        $this->headers = [];
    }

    /** @param array<array-key, mixed> $headers */
    private function setHeaders(array $headers): void
    {
        foreach ($headers as $name => $value) {
            $name = (string) $name;
            $this->addHeader(self::name($name), $name, self::values($value));
        }
    }

    /** @param list<string> $value */
    private function addHeader(string $lower, string $name, array $value): void
    {
        $known = $this->names[$lower] ?? null;
        if ($known === null) {
            $this->names[$lower] = $name;
            $this->headers[$name] = $value;
        } else {
            \array_push($this->headers[$known], ...$value);
        }
    }

    /** The name in lower case, if it is a token (RFC 9110, 5.6.2). */
    private static function name(mixed $name): string
    {
        // An app has few names, and most are met with each request.
        static $known = [];
        if (\is_string($name) && isset($known[$name])) {
            return $known[$name];
        }
        if (!\is_string($name) || \preg_match("/^[a-zA-Z0-9!#$%&'*+.^_`|~-]+$/D", $name) !== 1) {
            throw new \InvalidArgumentException('the name of a header is a non-empty string without blanks or separators');
        }
        $lower = \strtolower($name);
        if (\count($known) < 256) {
            $known[$name] = $lower;
        }
        return $lower;
    }

    /** @return non-empty-list<string> */
    private static function values(mixed $value): array
    {
        if (!\is_array($value)) {
            return [self::value($value)];
        }
        if ($value === []) {
            throw new \InvalidArgumentException('a header has at least one value');
        }
        $values = [];
        foreach ($value as $one) {
            $values[] = self::value($one);
        }
        return $values;
    }

    private static function value(mixed $value): string
    {
        if (!\is_string($value)) {
            if (!\is_int($value) && !\is_float($value)) {
                throw new \InvalidArgumentException('the value of a header is a string, a number or a list of those');
            }
            return (string) $value;
        }
        if (\preg_match('/[^\t\x20-\x7e\x80-\xff]/', $value) === 1) {
            throw new \InvalidArgumentException('the value of a header has no line breaks or control characters');
        }
        return \trim($value, " \t");
    }
}
