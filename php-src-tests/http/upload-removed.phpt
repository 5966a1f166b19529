--TEST--
A file that nobody has taken is gone after its request
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$script = <<<'PHP'
<?php
$note = __DIR__ . '/note';
if (isset($_FILES['f'])) {
    file_put_contents($note, $_FILES['f']['tmp_name']);
    var_dump(is_file($_FILES['f']['tmp_name']));
    if (isset($_GET['exit'])) {
        exit;
    }
} else {
    var_dump(is_file(file_get_contents($note)));
    var_dump($_FILES, is_uploaded_file(file_get_contents($note)));
}
PHP;
$file = [upload('f', 'a.txt', 'content')];
served(
    ['sent' => form($file), 'then' => get('/'), 'sent, exit' => form($file, target: '/?exit'), 'then again' => get('/')],
    [],
    $script,
);
?>
--EXPECT--
-- sent
bool(true)
-- then
bool(false)
array(0) {
}
bool(false)
-- sent, exit
bool(true)
-- then again
bool(false)
array(0) {
}
bool(false)
