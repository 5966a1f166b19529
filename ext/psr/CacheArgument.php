<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

/** A key or an item that PSR-6 does not allow. */
final class CacheArgument extends \InvalidArgumentException implements \Psr\Cache\InvalidArgumentException
{
}
