--TEST--
Contents that end around the sizes of buffers, and hold pieces of the boundary
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$script = <<<'PHP'
<?php
echo json_encode($_POST ? array_map(fn ($text) => [strlen($text), crc32($text)], $_POST) : $_POST), ' ';
echo json_encode(array_map(fn ($file) => [$file['size'], crc32(file_get_contents($file['tmp_name']))], $_FILES)), "\n";
PHP;
$requests = [];
foreach ([5000, 5119, 5120, 5121, 8191, 8192, 8193, 16384, 70000] as $length) {
    $text = str_repeat("line\r\n--edg", intdiv($length, 11) + 1);
    $requests["about $length"] = form([
        upload('a', 'a.txt', substr($text, 0, $length)),
        upload('b', 'b.txt', substr($text, 0, $length + 3)),
        field('c', substr($text, 0, $length + 5)),
        upload('d', 'd.txt', "\r\n--edge"),
        upload('e', 'e.txt', "\r\n\r\n"),
    ]);
}
served($requests, [], $script);
foreach ($requests as $title => $request) {
    $content = fn (string $end) => explode("\r\n--edge\r\n", explode("\r\n\r\n", explode($end, $request['body'])[1], 2)[1])[0];
    echo "sent $title: ", strlen($content('"a.txt"')), ' ', crc32($content('"a.txt"')), "\n";
}
?>
--EXPECT--
-- about 5000
{"c":[5005,3340192302]} {"a":[5000,2637075997],"b":[5003,1024840564],"d":[0,0],"e":[4,2344752452]}
-- about 5119
{"c":[5124,3315604540]} {"a":[5119,1232377301],"b":[5122,2562048598],"d":[0,0],"e":[4,2344752452]}
-- about 5120
{"c":[5125,3078067799]} {"a":[5120,1514390014],"b":[5123,357430011],"d":[0,0],"e":[4,2344752452]}
-- about 5121
{"c":[5126,4100761783]} {"a":[5121,1753782857],"b":[5124,3315604540],"d":[0,0],"e":[4,2344752452]}
-- about 8191
{"c":[8195,4205691550]} {"a":[8191,2564498376],"b":[8194,2912259423],"d":[0,0],"e":[4,2344752452]}
-- about 8192
{"c":[8195,4205691550]} {"a":[8192,49947225],"b":[8195,4205691550],"d":[0,0],"e":[4,2344752452]}
-- about 8193
{"c":[8195,4205691550]} {"a":[8193,4251937064],"b":[8195,4205691550],"d":[0,0],"e":[4,2344752452]}
-- about 16384
{"c":[16389,3045436629]} {"a":[16384,3845296658],"b":[16387,52532413],"d":[0,0],"e":[4,2344752452]}
-- about 70000
{"c":[70004,3181170329]} {"a":[70000,3386315705],"b":[70003,777450929],"d":[0,0],"e":[4,2344752452]}
sent about 5000: 5000 2637075997
sent about 5119: 5119 1232377301
sent about 5120: 5120 1514390014
sent about 5121: 5121 1753782857
sent about 8191: 8191 2564498376
sent about 8192: 8192 49947225
sent about 8193: 8193 4251937064
sent about 16384: 16384 3845296658
sent about 70000: 70000 3386315705
