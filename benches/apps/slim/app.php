<?php
// A Slim 3 app as teams write them: 21 routes, a middleware, and a list of rows that are filtered, sorted and rendered.
declare(strict_types=1);

require 'Psr/Http/Message/autoload.php';
require 'Slim/autoload.php';

use Psr\Http\Message\{ResponseInterface, ServerRequestInterface};

/** The app: from a PSR-7 request to a PSR-7 response. */
function app(): Closure
{
    $slim = new Slim\App(['settings' => ['displayErrorDetails' => false]]);
    for ($number = 0; $number < 20; $number++) {
        $slim->get("/things/$number/{id:[0-9]+}", fn ($request, $response, $args) => $response);
    }
    $rows = [];
    for ($row = 0; $row < 300; $row++) {
        $rows[] = ['id' => $row, 'name' => "Thing <$row>", 'price' => ($row * 7919) % 1000 / 10];
    }
    $slim->get('/list/{kind}', function ($request, $response, $args) use ($rows) {
        $limit = (float) ($request->getQueryParams()['below'] ?? 100);
        $rows = array_filter($rows, fn ($row) => $row['price'] < $limit);
        usort($rows, fn ($one, $other) => $one['price'] <=> $other['price']);
        $text = '<h1>' . htmlspecialchars($args['kind']) . "</h1>\n<table>\n";
        foreach ($rows as $row) {
            $text .= sprintf("<tr><td>%d</td><td>%s</td><td>%.2f</td></tr>\n", $row['id'],
                htmlspecialchars($row['name']), $row['price']);
        }
        $response->getBody()->write("$text</table>\n");
        return $response->withHeader('Content-Type', 'text/html; charset=utf-8');
    });
    $slim->get('/', fn ($request, $response) => $response->write('Hello'));
    $slim->add(function ($request, $response, $next) {
        $began = hrtime(true);
        $response = $next($request->withAttribute('began', $began), $response);
        return $response->withHeader('X-Shown-To', $request->getHeaderLine('User-Agent'));
    });
    $type = new Slim\Http\Headers(['Content-Type' => 'text/html; charset=UTF-8']);
    return fn (ServerRequestInterface $request): ResponseInterface =>
        $slim->process($request, new Slim\Http\Response(200, clone $type));
}
