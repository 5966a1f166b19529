--TEST--
phpinfo() has a section with the version
--EXTENSIONS--
roadrunner
--FILE--
<?php
ob_start();
phpinfo(INFO_MODULES);
$info = ob_get_clean();
var_dump(str_contains($info, 'roadrunner => enabled'));
var_dump(str_contains($info, 'version => ' . phpversion('roadrunner')));
?>
--EXPECT--
bool(true)
bool(true)
