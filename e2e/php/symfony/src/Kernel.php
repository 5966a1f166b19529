<?php

namespace App;

use Symfony\Bundle\FrameworkBundle\FrameworkBundle;
use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;
use Symfony\Component\HttpFoundation\{BinaryFileResponse, Cookie, JsonResponse, RedirectResponse, Request, Response};
use Symfony\Component\HttpFoundation\StreamedResponse;
use Symfony\Component\HttpKernel\Kernel as BaseKernel;
use Symfony\Component\Routing\Loader\Configurator\RoutingConfigurator;

class Kernel extends BaseKernel
{
    use MicroKernelTrait;

    public function registerBundles(): iterable
    {
        yield new FrameworkBundle();
    }

    public function getProjectDir(): string
    {
        return dirname(__DIR__);
    }

    public function boot()
    {
        if (!$this->booted) {
            file_put_contents($this->getProjectDir() . '/boots', getmypid() . "\n", FILE_APPEND);
        }
        parent::boot();
    }

    protected function configureContainer(ContainerConfigurator $container): void
    {
        $container->extension('framework', [
            'secret' => 'secret',
            'http_method_override' => false,
            'router' => ['utf8' => true],
            'session' => [
                'handler_id' => null, 'storage_factory_id' => 'session.storage.factory.native',
                'save_path' => '%kernel.project_dir%/var/sessions', 'cookie_samesite' => 'lax',
            ],
        ]);
    }

    protected function configureRoutes(RoutingConfigurator $routes): void
    {
        $all = ['hello', 'show', 'form', 'upload', 'session', 'stream', 'file', 'raw', 'boom', 'cookies', 'go', 'quit'];
        foreach ($all as $name) {
            $routes->add($name, $name === 'hello' ? '/hello/{name}' : "/$name")->controller("kernel::$name");
        }
    }

    public function terminate(Request $request, Response $response)
    {
        parent::terminate($request, $response);
        error_log('terminated ' . $request->getPathInfo());
    }

    public function hello(string $name): Response
    {
        return new Response("Hello $name", 200, ['Content-Type' => 'text/plain']);
    }

    public function show(Request $request): JsonResponse
    {
        return new JsonResponse([
            'method' => $request->getMethod(), 'uri' => $request->getUri(), 'base' => $request->getBaseUrl(),
            'query' => $request->query->all(), 'cookies' => $request->cookies->all(), 'ip' => $request->getClientIp(),
            'agent' => $request->headers->get('user-agent'), 'type' => $request->headers->get('content-type'),
            'port' => $request->getPort(), 'secure' => $request->isSecure(), 'user' => $request->getUser(),
        ]);
    }

    public function form(Request $request): JsonResponse
    {
        return new JsonResponse($request->request->all());
    }

    public function upload(Request $request): JsonResponse
    {
        $file = $request->files->get('files')['one'];
        $moved = $file->move(dirname(__DIR__) . '/var/uploads', 'moved');
        return new JsonResponse([
            'name' => $file->getClientOriginalName(), 'type' => $file->getClientMimeType(), 'valid' => $file->isValid(),
            'text' => file_get_contents($moved->getPathname()), 'fields' => $request->request->all(),
        ]);
    }

    public function session(Request $request): Response
    {
        $session = $request->getSession();
        $session->set('count', $session->get('count', 0) + 1);
        return new Response($session->get('count') . ' ' . $session->getId());
    }

    public function stream(): StreamedResponse
    {
        return new StreamedResponse(function () {
            for ($at = 0; $at < 3; $at++) {
                echo "piece $at\n";
                flush();
            }
        });
    }

    public function file(): BinaryFileResponse
    {
        return new BinaryFileResponse(__FILE__, 200, ['Content-Type' => 'text/plain']);
    }

    public function raw(Request $request): Response
    {
        $hash = hash_init('md5');
        $stream = $request->getContent(true);
        $length = hash_update_stream($hash, $stream);
        return new Response("$length " . hash_final($hash) . ' ' . strlen($request->getContent()));
    }

    public function boom(): Response
    {
        throw new \RuntimeException('secret words');
    }

    public function cookies(): Response
    {
        $response = new Response('');
        $response->headers->setCookie(Cookie::create('a', '1'));
        $response->headers->setCookie(Cookie::create('b', '2'));
        return $response;
    }

    public function go(): RedirectResponse
    {
        return new RedirectResponse('/hello/there');
    }

    public function quit(): Response
    {
        exit;
    }
}
