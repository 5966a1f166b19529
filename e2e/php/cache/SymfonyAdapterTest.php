<?php

final class SymfonyAdapterTest extends Cache\IntegrationTests\CachePoolTest
{
    public function createCachePool()
    {
        return new RoadRunner\Psr\SymfonyAdapter('symfonyadapter', 'app');
    }
}
