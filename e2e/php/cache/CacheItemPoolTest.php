<?php

final class CacheItemPoolTest extends Cache\IntegrationTests\CachePoolTest
{
    public function createCachePool()
    {
        return new RoadRunner\Psr\CacheItemPool('cacheitempool');
    }
}
