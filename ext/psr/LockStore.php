<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use RoadRunner\Rpc;
use RoadRunner\RpcException;
use Symfony\Component\Lock\BlockingSharedLockStoreInterface;
use Symfony\Component\Lock\BlockingStoreInterface;
use Symfony\Component\Lock\Exception\InvalidTtlException;
use Symfony\Component\Lock\Exception\LockAcquiringException;
use Symfony\Component\Lock\Exception\LockConflictedException;
use Symfony\Component\Lock\Exception\LockReleasingException;
use Symfony\Component\Lock\Key;
use Symfony\Component\Lock\Store\ExpiringStoreTrait;

/**
 * A store of Symfony Lock in the server: `new LockFactory(new RoadRunner\Psr\LockStore())`.
 *
 * A key may be given to another process, so its lock is nobody's: it stays until it is released or expires, also when
 * the worker ends. `RoadRunner\Lock` and RPC clients see the same locks by the same names. Who waits is served in order.
 */
final class LockStore implements BlockingSharedLockStoreInterface, BlockingStoreInterface
{
    use ExpiringStoreTrait;

    /** As long as can be, in microseconds. */
    private const ALWAYS = \PHP_INT_MAX;

    /**
     * @param float $initialTtl seconds that a lock lasts unless it is refreshed
     */
    public function __construct(private float $initialTtl = 300.0)
    {
        if ($initialTtl <= 0) {
            throw new InvalidTtlException("LockStore: a TTL of $initialTtl seconds; it must be more than 0");
        }
    }

    public function save(Key $key): void
    {
        $this->obtain($key, false, 0);
    }

    public function saveRead(Key $key): void
    {
        $this->obtain($key, true, 0);
    }

    public function waitAndSave(Key $key): void
    {
        $this->obtain($key, false, self::ALWAYS);
    }

    public function waitAndSaveRead(Key $key): void
    {
        $this->obtain($key, true, self::ALWAYS);
    }

    public function putOffExpiration(Key $key, float $ttl): void
    {
        $key->reduceLifetime($ttl);
        if (!$this->prolong($key, $ttl)) {
            throw new LockConflictedException();
        }
        $this->checkNotExpired($key);
    }

    public function delete(Key $key): void
    {
        if (!$key->hasState(self::class)) {
            return;
        }
        try {
            $this->call('Release', $key);
        } catch (RpcException $error) {
            throw new LockReleasingException($error->getMessage(), 0, $error);
        }
        $key->removeState(self::class);
    }

    public function exists(Key $key): bool
    {
        return $key->hasState(self::class) && $this->call('Exists', $key);
    }

    private function obtain(Key $key, bool $shared, int $wait): void
    {
        $key->reduceLifetime($this->initialTtl);
        $held = $key->hasState(self::class) ? $key->getState(self::class) : null;
        try {
            // Whoever may write may read.
            if ($held === null || $held['shared'] && !$shared || !$this->prolong($key, $this->initialTtl)) {
                if ($held === null) {
                    $key->setState(self::class, ['id' => \bin2hex(\random_bytes(16)), 'shared' => $shared]);
                }
                $span = ['ttl' => self::micros($this->initialTtl), 'wait' => $wait];
                if (!$this->call($shared ? 'LockRead' : 'Lock', $key, $span)) {
                    if ($held === null) {
                        $key->removeState(self::class);
                    }
                    throw new LockConflictedException();
                }
                $key->setState(self::class, ['shared' => $shared] + $key->getState(self::class));
            }
        } catch (RpcException $error) {
            throw new LockAcquiringException($error->getMessage(), 0, $error);
        }
        $this->checkNotExpired($key);
    }

    private function prolong(Key $key, float $ttl): bool
    {
        return $key->hasState(self::class) && $this->call('UpdateTTL', $key, ['ttl' => self::micros($ttl)]);
    }

    /**
     * @param array<string, int> $more
     */
    private function call(string $method, Key $key, array $more = []): bool
    {
        $request = ['resource' => (string) $key, 'id' => $key->getState(self::class)['id']] + $more;
        return Rpc::call("lock.$method", $request)['ok'] ?? false;
    }

    private static function micros(float $seconds): int
    {
        return (int) \min(\ceil($seconds * 1e6), 1e18);
    }
}
