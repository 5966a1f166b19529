<?php // What PHP has made of a form. The temporary names are of the moment.
header('Content-Type: text/plain; charset=utf-8');
$show = static function (mixed $value, string $key) use (&$show) {
    if (is_array($value)) {
        return array_combine(array_keys($value), array_map(static fn ($item, $name) => $show($item, $key), $value, array_keys($value)));
    }
    return $key === 'tmp_name' && $value !== '' ? [is_uploaded_file($value), sha1_file($value), basename($value) !== $value, str_starts_with(basename($value), 'php')] : $value;
};
$files = [];
foreach ($_FILES as $field => $file) {
    foreach ($file as $key => $value) {
        $files[$field][$key] = $show($value, $key);
    }
}
$flags = JSON_PRETTY_PRINT | JSON_INVALID_UTF8_SUBSTITUTE | JSON_UNESCAPED_SLASHES;
echo json_encode($_POST, $flags, 2000), "\n", json_encode($files, $flags, 2000), "\n", strlen(file_get_contents('php://input')), ' ', json_encode($_SERVER['CONTENT_TYPE'], $flags), "\n";
