<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use RoadRunner\KeyValue;
use RoadRunner\KeyValueException;

/**
 * What PSR-6 and PSR-16 have in common: legal keys, times to live, and storages whose errors stop nobody.
 *
 * @internal
 */
final class CacheRules
{
    /** Both PSRs reserve these. */
    private const RESERVED = '{}()/\@:';

    public static function storage(KeyValue|string $storage): KeyValue
    {
        return \is_string($storage) ? KeyValue::open($storage) : $storage;
    }

    /** Why a key is refused; null: it is legal. */
    public static function refused(mixed $key): ?string
    {
        return match (true) {
            !\is_string($key) => 'a cache key is a string, this is ' . \get_debug_type($key),
            $key === '' => 'a cache key is empty',
            \trim($key) === '' => 'a cache key is blank',
            \strpbrk($key, self::RESERVED) !== false =>
                "the cache key \"$key\" has one of the characters " . self::RESERVED . ', which the PSRs reserve',
            default => null,
        };
    }

    /** Seconds of an interval from now on. */
    public static function seconds(\DateInterval $interval): int
    {
        $now = new \DateTimeImmutable();
        return $now->add($interval)->getTimestamp() - $now->getTimestamp();
    }

    /**
     * Runs an operation. A storage that fails is no reason for the app to fail (PSR-6, "Error handling"): the error goes
     * to the log, and `$otherwise` is the result.
     */
    public static function attempt(\Closure $operation, mixed $otherwise): mixed
    {
        try {
            return $operation();
        } catch (KeyValueException $error) {
            \error_log('cache: ' . $error->getMessage());
            return $otherwise;
        }
    }
}
