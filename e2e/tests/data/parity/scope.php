<?php // What a script finds before it has done anything.
header('Content-Type: text/plain');
var_dump(isset($argv), isset($GLOBALS['argc']), get_included_files() === [__FILE__], error_get_last(), gc_enabled());
