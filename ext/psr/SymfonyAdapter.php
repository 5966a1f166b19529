<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use RoadRunner\KeyValue;
use Symfony\Component\Cache\Adapter\AbstractAdapter;

/**
 * An adapter for Symfony's cache (symfony/cache 5.4 or newer) over a storage of the `kv` section: PSR-6, and Symfony's
 * `get()` with a callback. Symfony logs what a storage has to complain about.
 *
 * With a namespace `clear()` makes the items of it unreachable and leaves them to end or to be evicted; the storage can be
 * shared with others then.
 */
final class SymfonyAdapter extends AbstractAdapter
{
    private KeyValue $storage;

    private object $miss;

    /**
     * @param KeyValue|string $storage a storage, or its name
     * @param int $defaultLifetime seconds; 0: for ever
     */
    public function __construct(KeyValue|string $storage, string $namespace = '', int $defaultLifetime = 0)
    {
        parent::__construct($namespace, $defaultLifetime);
        $this->storage = CacheRules::storage($storage);
        $this->miss = new \stdClass();
        if ($namespace !== '') {
            $this->enableVersioning();
        }
    }

    protected function doFetch(array $ids): iterable
    {
        $miss = $this->miss;
        return \array_filter($this->storage->getMultiple($ids, $miss), static fn ($value) => $value !== $miss);
    }

    protected function doHave(string $id): bool
    {
        return $this->storage->has($id);
    }

    protected function doClear(string $namespace): bool
    {
        if ($namespace !== '') {
            return false;
        }
        $this->storage->clear();
        return true;
    }

    protected function doDelete(array $ids): bool
    {
        $this->storage->deleteMultiple($ids);
        return true;
    }

    protected function doSave(array $values, int $lifetime): array|bool
    {
        $this->storage->setMultiple($values, $lifetime === 0 ? null : $lifetime);
        return true;
    }
}
