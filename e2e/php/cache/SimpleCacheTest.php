<?php

final class SimpleCacheTest extends Cache\IntegrationTests\SimpleCacheTest
{
    public function createSimpleCache()
    {
        return new RoadRunner\Psr\SimpleCache('simplecache');
    }
}
