<?php // Sessions: the cookie, the headers of the cache limiter, a page counted.
if (isset($_GET['limiter'])) { session_cache_limiter($_GET['limiter']); }
if (isset($_GET['options'])) { session_start(['cookie_httponly' => true, 'cookie_samesite' => 'Strict', 'cookie_path' => '/x', 'read_and_close' => false]); } else { session_start(); }
$_SESSION['count'] = ($_SESSION['count'] ?? 0) + 1;
switch ($_GET['do'] ?? '') {
    case 'destroy': session_destroy(); break;
    case 'regenerate': session_regenerate_id(true); break;
    case 'abort': session_abort(); break;
    case 'name': echo session_name(), ' ', session_module_name(), ' '; break;
    case 'exit': echo 'exit ', $_SESSION['count']; exit;
    case 'fatal': echo 'before '; undefined_function();
}
echo $_SESSION['count'], ' ', session_status(), ' ', defined('SID') && SID !== '' ? 'SID' : 'no SID';
