--TEST--
What $_SERVER says of a body
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$script = <<<'PHP'
<?php
foreach (['REQUEST_METHOD', 'REQUEST_URI', 'QUERY_STRING', 'CONTENT_TYPE', 'CONTENT_LENGTH', 'HTTP_CONTENT_TYPE', 'HTTP_CONTENT_LENGTH', 'HTTP_X_A', 'HTTP_HOST'] as $name) {
    echo $name, ' ', json_encode($_SERVER[$name] ?? null), "\n";
}
PHP;
served([
    'a form' => post('a=1', '/path/?q=1&r=%20+'),
    'parts' => form([field('a', '1')]),
    'nothing' => request('POST', '/', ''),
    'a header of its own' => request('POST', '/', 'a', 'X-A: some value', 'Content-Type: text/plain'),
    'GET' => get('/?a'),
], [], $script);
?>
--EXPECT--
-- a form
REQUEST_METHOD "POST"
REQUEST_URI "\/path\/?q=1&r=%20+"
QUERY_STRING "q=1&r=%20+"
CONTENT_TYPE "application\/x-www-form-urlencoded"
CONTENT_LENGTH "3"
HTTP_CONTENT_TYPE "application\/x-www-form-urlencoded"
HTTP_CONTENT_LENGTH "3"
HTTP_X_A null
HTTP_HOST "app.test"
-- parts
REQUEST_METHOD "POST"
REQUEST_URI "\/"
QUERY_STRING ""
CONTENT_TYPE "multipart\/form-data; boundary=edge"
CONTENT_LENGTH "65"
HTTP_CONTENT_TYPE "multipart\/form-data; boundary=edge"
HTTP_CONTENT_LENGTH "65"
HTTP_X_A null
HTTP_HOST "app.test"
-- nothing
REQUEST_METHOD "POST"
REQUEST_URI "\/"
QUERY_STRING ""
CONTENT_TYPE ""
CONTENT_LENGTH "0"
HTTP_CONTENT_TYPE null
HTTP_CONTENT_LENGTH "0"
HTTP_X_A null
HTTP_HOST "app.test"
-- a header of its own
REQUEST_METHOD "POST"
REQUEST_URI "\/"
QUERY_STRING ""
CONTENT_TYPE "text\/plain"
CONTENT_LENGTH "1"
HTTP_CONTENT_TYPE "text\/plain"
HTTP_CONTENT_LENGTH "1"
HTTP_X_A "some value"
HTTP_HOST "app.test"
-- GET
REQUEST_METHOD "GET"
REQUEST_URI "\/?a"
QUERY_STRING "a"
CONTENT_TYPE ""
CONTENT_LENGTH ""
HTTP_CONTENT_TYPE null
HTTP_CONTENT_LENGTH null
HTTP_X_A null
HTTP_HOST "app.test"
