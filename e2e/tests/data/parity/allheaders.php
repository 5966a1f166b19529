<?php // The headers as a web server's module gives them.
header('Content-Type: text/plain');
$headers = getallheaders();
ksort($headers);
foreach ($headers as $name => $value) {
    echo $name, ': ', $value, "\n";
}
