<?php
// The app of app.php without any server: what PHP itself needs for one request, microseconds of processor time.
declare(strict_types=1);

require __DIR__ . '/app.php';

$app = app();
$request = fn (): Slim\Http\Request => Slim\Http\Request::createFromEnvironment(Slim\Http\Environment::mock([
    'REQUEST_URI' => '/list/all?below=50', 'QUERY_STRING' => 'below=50', 'HTTP_USER_AGENT' => 'bare',
]));
$used = function (): float {
    $usage = getrusage();
    return $usage['ru_utime.tv_sec'] * 1e6 + $usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_sec'] * 1e6 + $usage['ru_stime.tv_usec'];
};
for ($turn = 0; $turn < 200; $turn++) {
    $app($request());
}
$turns = 0;
$end = hrtime(true) + (int) ((float) ($argv[1] ?? 1) * 1e9);
$began = $used();
while (hrtime(true) < $end) {
    $response = $app($request());
    $text = $response->getStatusCode() . json_encode($response->getHeaders()) . $response->getBody();
    $turns++;
}
printf("%.1f\n", ($used() - $began) / $turns);
