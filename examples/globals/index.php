<?php
// Answers with what PHP knows of the request. ?do=exit, fatal, oom, stream and session do what they say.

switch ($_GET['do'] ?? '') {
    case 'exit':
        echo 'before exit';
        exit;
    case 'fatal':
        echo 'before the error';
        undefined_function();
    case 'oom':
        $text = str_repeat('x', 1 << 20);
        while (true) {
            $text .= $text;
        }
    case 'stream':
        header('Content-Type: text/plain');
        for ($i = 1; $i <= 5; $i++) {
            echo "piece $i\n";
            while (ob_get_level() > 0) {
                ob_end_flush();
            }
            flush();
            usleep(100_000);
        }
        return;
    case 'session':
        session_start();
        $_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
        break;
}

$uploads = [];
foreach ($_FILES as $field => $file) {
    foreach ((array) $file['name'] as $index => $name) {
        $of = static fn (string $key) => is_array($file[$key]) ? $file[$key][$index] : $file[$key];
        $uploads[is_array($file['name']) ? "{$field}[$index]" : $field] = [
            'name' => $name,
            'size' => $of('size'),
            'type' => $of('type'),
            'error' => $of('error'),
            'sha1' => $of('error') === UPLOAD_ERR_OK && is_uploaded_file($of('tmp_name')) ? sha1_file($of('tmp_name')) : null,
        ];
    }
}

header('Content-Type: application/json');
echo json_encode([
    'get' => $_GET,
    'post' => $_POST,
    'cookie' => $_COOKIE,
    'files' => $uploads,
    'server' => $_SERVER,
    'input_sha1' => sha1(file_get_contents('php://input')),
    'session' => $_SESSION ?? null,
], JSON_PRETTY_PRINT | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE), "\n";
