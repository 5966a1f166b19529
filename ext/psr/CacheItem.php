<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use Psr\Cache\CacheItemInterface;

/** An item of a `CacheItemPool`. */
final class CacheItem implements CacheItemInterface
{
    /** Seconds since 1970; null: no end. */
    private ?float $end = null;

    /** @internal made by the pool */
    public function __construct(private string $key, private mixed $value, private bool $isHit)
    {
    }

    public function getKey(): string
    {
        return $this->key;
    }

    public function get(): mixed
    {
        return $this->value;
    }

    public function isHit(): bool
    {
        return $this->isHit;
    }

    public function set($value): static
    {
        $this->value = $value;
        return $this;
    }

    public function expiresAt($expiration): static
    {
        $this->end = match (true) {
            $expiration === null => null,
            $expiration instanceof \DateTimeInterface => (float) $expiration->format('U.u'),
            default => throw new CacheArgument(
                'an expiration is null or a DateTimeInterface, this is ' . \get_debug_type($expiration)
            ),
        };
        return $this;
    }

    public function expiresAfter($time): static
    {
        $this->end = match (true) {
            $time === null => null,
            \is_int($time) => \microtime(true) + $time,
            $time instanceof \DateInterval => \microtime(true) + CacheRules::seconds($time),
            default => throw new CacheArgument(
                'a time is null, seconds as an int or a DateInterval, this is ' . \get_debug_type($time)
            ),
        };
        return $this;
    }

    /**
     * Seconds it has left, null for ever.
     *
     * @internal
     */
    public function left(): ?float
    {
        return $this->end === null ? null : $this->end - \microtime(true);
    }

    /**
     * As it looks once it is stored.
     *
     * @internal
     */
    public function stored(): self
    {
        $left = $this->left();
        $copy = new self($this->key, $this->value, $left === null || $left > 0);
        $copy->end = $this->end;
        return $copy;
    }
}
