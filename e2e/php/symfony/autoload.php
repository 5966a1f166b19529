<?php

// What Composer's autoloader is elsewhere: Debian's, and the app's own class.
require_once 'Symfony/Bundle/FrameworkBundle/autoload.php';
require_once 'Symfony/Component/Runtime/autoload.php';
require_once dirname(__DIR__) . '/src/Kernel.php';
