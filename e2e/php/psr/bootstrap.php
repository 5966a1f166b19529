<?php

// Debian's autoloaders for the interfaces and their test suites.
require 'Psr/Http/Message/autoload.php';
require 'Psr/Http/Message/factory-autoload.php';
require 'Http/Psr7Test/autoload.php';
require 'Interop/Http/Factory/autoload.php';

define('URI_FACTORY', RoadRunner\Psr\HttpFactory::class);
define('STREAM_FACTORY', RoadRunner\Psr\HttpFactory::class);
define('UPLOADED_FILE_FACTORY', RoadRunner\Psr\HttpFactory::class);
foreach (['REQUEST', 'RESPONSE', 'SERVER_REQUEST'] as $what) {
    define("{$what}_FACTORY", RoadRunner\Psr\HttpFactory::class);
}
