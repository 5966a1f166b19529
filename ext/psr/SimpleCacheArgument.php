<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

/** A key or a time to live that PSR-16 does not allow. */
final class SimpleCacheArgument extends \InvalidArgumentException implements \Psr\SimpleCache\InvalidArgumentException
{
}
