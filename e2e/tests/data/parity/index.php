<?php // The front controller: whatever is no file.
echo json_encode(['index', $_SERVER['REQUEST_URI'], $_SERVER['SCRIPT_NAME'], $_SERVER['PHP_SELF'], $_SERVER['PATH_INFO'], $_GET]), "\n";
