<?php // A script that answers conditional requests by itself.
header('ETag: "v1"');
header('Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT');
if (($_SERVER['HTTP_IF_NONE_MATCH'] ?? '') === '"v1"') { http_response_code(304); exit; }
header('Accept-Ranges: none');
echo 'version 1';
