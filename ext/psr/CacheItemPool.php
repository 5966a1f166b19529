<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use Psr\Cache\CacheItemInterface;
use Psr\Cache\CacheItemPoolInterface;
use RoadRunner\KeyValue;

/**
 * PSR-6 (psr/cache 1 to 3) over a storage of the `kv` section. Items that are deferred are stored by `commit()`, one call
 * for all with the same end, or when the pool goes.
 *
 * A storage that fails makes a write `false` and a read a miss, with a line in the log.
 */
final class CacheItemPool implements CacheItemPoolInterface
{
    private KeyValue $storage;

    /** What stands for nothing: null is a value. */
    private object $miss;

    /** @var array<string, CacheItem> as they were when they were deferred */
    private array $deferred = [];

    /** @param KeyValue|string $storage a storage, or its name */
    public function __construct(KeyValue|string $storage)
    {
        $this->storage = CacheRules::storage($storage);
        $this->miss = new \stdClass();
    }

    public function __destruct()
    {
        $this->commit();
    }

    public function getItem($key): CacheItemInterface
    {
        self::check($key);
        if (isset($this->deferred[$key])) {
            return $this->waiting($key);
        }
        return $this->item($key, CacheRules::attempt(fn () => $this->storage->get($key, $this->miss), $this->miss));
    }

    public function getItems(array $keys = []): iterable
    {
        \array_walk($keys, self::check(...));
        $found = $keys === [] ? [] : CacheRules::attempt(
            fn () => $this->storage->getMultiple(\array_values($keys), $this->miss),
            []
        );
        $items = [];
        foreach ($keys as $key) {
            $items[$key] = isset($this->deferred[$key])
                ? $this->waiting($key)
                : $this->item($key, \array_key_exists($key, $found) ? $found[$key] : $this->miss);
        }
        return $items;
    }

    public function hasItem($key): bool
    {
        self::check($key);
        if (isset($this->deferred[$key])) {
            return $this->waiting($key)->isHit();
        }
        return CacheRules::attempt(fn () => $this->storage->has($key), false);
    }

    /** Removes everything from the storage. */
    public function clear(): bool
    {
        $this->deferred = [];
        return CacheRules::attempt(function () {
            $this->storage->clear();
            return true;
        }, false);
    }

    public function deleteItem($key): bool
    {
        return $this->deleteItems([$key]);
    }

    public function deleteItems(array $keys): bool
    {
        \array_walk($keys, self::check(...));
        foreach ($keys as $key) {
            unset($this->deferred[$key]);
        }
        return $keys === [] || CacheRules::attempt(function () use ($keys) {
            $this->storage->deleteMultiple(\array_values($keys));
            return true;
        }, false);
    }

    public function save(CacheItemInterface $item): bool
    {
        $item = self::ours($item);
        unset($this->deferred[$item->getKey()]);
        return CacheRules::attempt(function () use ($item) {
            $this->storage->set($item->getKey(), $item->get(), $item->left());
            return true;
        }, false);
    }

    public function saveDeferred(CacheItemInterface $item): bool
    {
        $item = self::ours($item)->stored();
        $this->deferred[$item->getKey()] = $item;
        return true;
    }

    public function commit(): bool
    {
        $groups = [];
        foreach ($this->deferred as $key => $item) {
            $left = $item->left();
            // To the millisecond, which is what the storage keeps.
            $groups[$left === null ? '' : (string) \max(0, (int) \ceil($left * 1000))][$key] = $item->get();
        }
        $this->deferred = [];
        $done = true;
        foreach ($groups as $left => $values) {
            $done = CacheRules::attempt(function () use ($left, $values) {
                $this->storage->setMultiple($values, $left === '' ? null : (int) $left / 1000);
                return true;
            }, false) && $done;
        }
        return $done;
    }

    private function item(string $key, mixed $value): CacheItem
    {
        return $value === $this->miss ? new CacheItem($key, null, false) : new CacheItem($key, $value, true);
    }

    private function waiting(string $key): CacheItem
    {
        return $this->deferred[$key]->stored();
    }

    private static function ours(CacheItemInterface $item): CacheItem
    {
        return $item instanceof CacheItem ? $item : throw new CacheArgument(
            'an item of another pool: ' . \get_debug_type($item) . '; ask this pool for it by getItem()'
        );
    }

    private static function check(mixed $key): void
    {
        $refused = CacheRules::refused($key);
        if ($refused !== null) {
            throw new CacheArgument($refused);
        }
    }
}
