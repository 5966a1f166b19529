<?php // The order of what is in $_SERVER, apart from the headers.
header('Content-Type: text/plain');
foreach (array_keys($_SERVER) as $key) {
    echo $key, "\n";
}
