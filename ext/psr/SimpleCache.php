<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use Psr\SimpleCache\CacheInterface;
use RoadRunner\KeyValue;

/**
 * PSR-16 (psr/simple-cache 1 to 3) over a storage of the `kv` section. Parameters have no types, as those of version 1
 * have none; they are checked all the same.
 *
 * A storage that fails makes a write `false` and a read a miss, with a line in the log.
 */
final class SimpleCache implements CacheInterface
{
    private KeyValue $storage;

    /** @param KeyValue|string $storage a storage, or its name */
    public function __construct(KeyValue|string $storage)
    {
        $this->storage = CacheRules::storage($storage);
    }

    public function get($key, $default = null): mixed
    {
        self::check($key);
        return CacheRules::attempt(fn () => $this->storage->get($key, $default), $default);
    }

    public function set($key, $value, $ttl = null): bool
    {
        self::check($key);
        $ttl = self::seconds($ttl);
        return CacheRules::attempt(function () use ($key, $value, $ttl) {
            $this->storage->set($key, $value, $ttl);
            return true;
        }, false);
    }

    public function delete($key): bool
    {
        self::check($key);
        return CacheRules::attempt(function () use ($key) {
            $this->storage->delete($key);
            return true;
        }, false);
    }

    /** Removes everything from the storage. */
    public function clear(): bool
    {
        return CacheRules::attempt(function () {
            $this->storage->clear();
            return true;
        }, false);
    }

    public function getMultiple($keys, $default = null): iterable
    {
        $keys = self::keys($keys);
        return CacheRules::attempt(
            fn () => $this->storage->getMultiple($keys, $default),
            \array_fill_keys($keys, $default)
        );
    }

    public function setMultiple($values, $ttl = null): bool
    {
        if (!\is_iterable($values)) {
            throw new SimpleCacheArgument('values are an array or a Traversable, this is ' . \get_debug_type($values));
        }
        $all = [];
        foreach ($values as $key => $value) {
            // PHP has made numbers of keys that are digits.
            $key = \is_int($key) ? (string) $key : $key;
            self::check($key);
            $all[$key] = $value;
        }
        $ttl = self::seconds($ttl);
        return CacheRules::attempt(function () use ($all, $ttl) {
            $this->storage->setMultiple($all, $ttl);
            return true;
        }, false);
    }

    public function deleteMultiple($keys): bool
    {
        $keys = self::keys($keys);
        return CacheRules::attempt(function () use ($keys) {
            $this->storage->deleteMultiple($keys);
            return true;
        }, false);
    }

    public function has($key): bool
    {
        self::check($key);
        return CacheRules::attempt(fn () => $this->storage->has($key), false);
    }

    private static function check(mixed $key): void
    {
        $refused = CacheRules::refused($key);
        if ($refused !== null) {
            throw new SimpleCacheArgument($refused);
        }
    }

    /** @return list<string> */
    private static function keys(mixed $keys): array
    {
        if (!\is_iterable($keys)) {
            throw new SimpleCacheArgument('keys are an array or a Traversable, this is ' . \get_debug_type($keys));
        }
        $all = [];
        foreach ($keys as $key) {
            self::check($key);
            $all[] = $key;
        }
        return $all;
    }

    private static function seconds(mixed $ttl): ?int
    {
        return match (true) {
            $ttl === null, \is_int($ttl) => $ttl,
            $ttl instanceof \DateInterval => CacheRules::seconds($ttl),
            default => throw new SimpleCacheArgument(
                'a time to live is null, seconds as an int or a DateInterval, this is ' . \get_debug_type($ttl)
            ),
        };
    }
}
