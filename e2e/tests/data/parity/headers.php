<?php // header() in all its forms.
switch ($_GET['do'] ?? '') {
    case 'many':
        header('X-One: 1');
        header('X-One: 2');
        header('X-Two: 1');
        header('X-Two: 2', false);
        header('x-three: lower');
        header('X-Empty:');
        header('X-Gone: 1');
        header_remove('X-Gone');
        header('X-Spaces:    two  words   ');
        header("X-Latin: \xe4\xf6");
        break;
    case 'status': http_response_code((int) $_GET['code']); break;
    case 'line': header('HTTP/1.1 418 Short and stout'); break;
    case 'line404': header('HTTP/1.0 404 Gone Fishing'); break;
    case 'Status': header('Status: 404 Not Found'); break;
    case 'location': header('Location: /elsewhere?a=1'); break;
    case 'location201': header('Location: /made', true, 201); break;
    case 'location307': header('Location: https://example.org/', true, 307); break;
    case 'locationpost': header('Location: dump.php'); break;
    case 'www': header('WWW-Authenticate: Basic realm="r"'); break;
    case 'type': header('Content-Type: text/plain'); break;
    case 'typecharset': header('Content-Type: text/html; charset=ISO-8859-1'); break;
    case 'notype': header('Content-Type:'); break;
    case 'removetype': header_remove('Content-Type'); break;
    case 'json': header('Content-Type: application/json'); break;
    case 'mimetype': ini_set('default_mimetype', ''); break;
    case 'charset': ini_set('default_charset', 'utf-16'); break;
    case 'length': header('Content-Length: 4'); echo 'four'; return;
    case 'short': header('Content-Length: 4'); break;
    case 'newline': header("X-Split: a\r\nX-Injected: b"); break;
    case 'nul': header("X-Nul: a\0b"); break;
    case 'folded': header("X-Folded: a\r\n b"); break;
    case 'colon': header('No colon at all'); break;
    case 'badname': header('X Space: 1'); break;
    case 'callback': header_register_callback(static function () { header('X-Late: 1'); header_remove('X-Early'); }); header('X-Early: 1'); break;
    case 'list': header('X-A: 1'); header('X-B: 2'); setcookie('c', '1'); echo json_encode(array_values(preg_grep('/^X-Powered/', headers_list(), PREG_GREP_INVERT))); return;
    case 'sent': while (ob_get_level()) { ob_end_clean(); } echo 'a'; flush(); var_dump(headers_sent($file, $line), basename($file), $line); @header('X-TooLate: 1'); return;
    case '204': http_response_code(204); return;
    case '304': header('ETag: "a"'); http_response_code(304); return;
    case '304body': http_response_code(304); break;
    case '204body': http_response_code(204); break;
    case 'cache': header('Cache-Control: no-store'); header('Expires: 0'); header('Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT'); break;
    case 'encoding': header('Content-Encoding: identity'); break;
    case 'connection': header('Connection: close'); break;
    case 'link': header('Link: </a>; rel=preload', false); header('Link: </b>; rel=preload', false); break;
    case 'cookies':
        setcookie('plain', 'a b;c');
        setrawcookie('raw', 'a%20b');
        setcookie('empty', '');
        setcookie('all', 'v', ['expires' => 2000000000, 'path' => '/p', 'domain' => 'app.test', 'secure' => true, 'httponly' => true, 'samesite' => 'Lax']);
        setcookie('plain', 'second');
        break;
}
echo "body\n";
