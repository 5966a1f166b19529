<?php

declare(strict_types=1);

namespace Monken\CIBurner\RoadRunner\Cache;

use Closure;
use CodeIgniter\Cache\Handlers\BaseHandler;
use RoadRunner\KeyValue;
use RoadRunner\KeyValueException;

/**
 * CodeIgniter's cache in a key-value storage of the server, which all workers share. CodeIgniter4-Burner looks for a class
 * of this name. The storage is that of `$roadrunner['storage']` in Config\Cache, or `burner`:
 *
 *     kv: {burner: {driver: memory}}
 */
class RoadRunnerHandler extends BaseHandler
{
    private ?KeyValue $values = null;

    private readonly string $storage;

    public function __construct(?object $config = null)
    {
        $this->prefix = (string) ($config->prefix ?? '');
        $this->storage = (string) (((array) ($config->roadrunner ?? []))['storage'] ?? 'burner');
    }

    public function initialize()
    {
        $this->values = KeyValue::open($this->storage);
    }

    public function get(string $key)
    {
        return $this->values()->get(static::validateKey($key, $this->prefix));
    }

    /** With a time of 0 for ever, as CodeIgniter has it. */
    public function save(string $key, $value, int $ttl = 60)
    {
        try {
            $this->values()->set(static::validateKey($key, $this->prefix), $value, $ttl > 0 ? (float) $ttl : null);
        } catch (KeyValueException) {
            // No room for it: a cache says so and goes on.
            return false;
        }
        return true;
    }

    /** One worker computes while the others wait for it. */
    public function remember(string $key, int $ttl, Closure $callback)
    {
        $key = static::validateKey($key, $this->prefix);
        return $this->values()->getOrCompute($key, $callback, $ttl > 0 ? (float) $ttl : null);
    }

    public function delete(string $key)
    {
        return $this->values()->delete(static::validateKey($key, $this->prefix));
    }

    public function increment(string $key, int $offset = 1)
    {
        try {
            return $this->values()->increment(static::validateKey($key, $this->prefix), $offset);
        } catch (KeyValueException) {
            // It holds no number.
            return false;
        }
    }

    public function decrement(string $key, int $offset = 1)
    {
        return $this->increment($key, -$offset);
    }

    public function clean()
    {
        $this->values()->clear();
        return true;
    }

    /** A storage has no list of its keys, nor figures for one application. */
    public function getCacheInfo()
    {
        return null;
    }

    public function getMetaData(string $key)
    {
        $key = static::validateKey($key, $this->prefix);
        $left = $this->values()->ttl($key);
        if ($left === null) {
            return null;
        }
        return [
            'expire' => is_infinite($left) ? null : (int) ceil(microtime(true) + $left),
            'mtime' => null,
            'data' => $this->values()->get($key),
        ];
    }

    public function isSupported(): bool
    {
        return class_exists(KeyValue::class, false);
    }

    private function values(): KeyValue
    {
        if ($this->values === null) {
            $this->initialize();
        }
        return $this->values;
    }
}
