<?php // A folder of its own.
echo json_encode(["sub", $_SERVER['REQUEST_URI'], $_SERVER['SCRIPT_NAME'], $_SERVER['PHP_SELF'], $_SERVER['PATH_INFO'], $_GET]), "\n";
