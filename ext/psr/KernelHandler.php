<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use RoadRunner\Request as Native;
use RoadRunner\Response as NativeResponse;
use Symfony\Component\HttpFoundation\File\UploadedFile;
use Symfony\Component\HttpFoundation\InputBag;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\EventListener\StreamedResponseListener;
use Symfony\Component\HttpKernel\HttpKernelInterface;
use Symfony\Component\HttpKernel\KernelEvents;
use Symfony\Component\HttpKernel\KernelInterface;
use Symfony\Component\HttpKernel\TerminableInterface;

/**
 * Runs a Symfony kernel for the server's requests.
 *
 * The kernel is booted once and resets its services between requests itself. `terminate()` runs after the response
 * was sent.
 */
final class KernelHandler
{
    /** Bodies up to this size are given to the request as text, longer ones as a resource. */
    private const TEXT = 1 << 20;

    /** @var \Closure(array, array, array, array, array, array, mixed): Request */
    private \Closure $make;

    public function __construct(private HttpKernelInterface $kernel)
    {
        // It heeds Request::setFactory().
        $this->make = (static fn (mixed ...$all): Request => self::createRequestFromFactory(...$all))
            ->bindTo(null, Request::class);
        \class_exists(Input::class) && \class_exists(Response::class);
    }

    /** @internal */
    public static function forServer(mixed $handler, mixed $app, mixed $factories): self
    {
        $kernel = $handler ?? $app;
        if (!$kernel instanceof HttpKernelInterface) {
            throw new \InvalidArgumentException(
                'expected a Symfony\Component\HttpKernel\HttpKernelInterface, got ' . \get_debug_type($kernel)
            );
        }
        if ($kernel instanceof KernelInterface) {
            $kernel->boot();
            self::leaveStreamsToServer($kernel);
        }
        return new self($kernel);
    }

    public function __invoke(Native $native): NativeResponse
    {
        self::forgetSession();
        $request = $this->request($native);
        $response = $this->kernel->handle($request);
        if ($this->kernel instanceof TerminableInterface) {
            // Those of a request run when its response was sent.
            \register_shutdown_function([$this->kernel, 'terminate'], $request, $response);
        }
        return self::respond($response);
    }

    /** The server's response of one of Symfony. */
    public static function respond(Response $response): NativeResponse
    {
        $headers = $response->headers->allPreserveCaseWithoutCookies();
        foreach ($response->headers->getCookies() as $cookie) {
            $headers['Set-Cookie'][] = (string) $cookie;
        }
        $content = $response->getContent();
        if ($content === false) {
            $content = static function () use ($response): void {
                $response->sendContent();
            };
        }
        return new NativeResponse($content, $response->getStatusCode(), $headers);
    }

    /** Symfony's request of one of the server. */
    public function request(Native $native): Request
    {
        $method = $native->method();
        $files = self::files(Input::files($native));
        $form = Input::form($native) ?? [];
        $content = self::content($native);
        $query = $native->queryString() === '' ? [] : $native->query();
        $request = ($this->make)($query, $form, [], Input::cookies($native), $files, $native->server(), $content);
        // As Request::createFromGlobals().
        if (
            ($method === 'PUT' || $method === 'DELETE' || $method === 'PATCH')
            && Input::type($native) === 'application/x-www-form-urlencoded'
        ) {
            \parse_str($request->getContent(), $data);
            $request->request = new InputBag($data);
        }
        return $request;
    }

    /** @return string|resource */
    private static function content(Native $native)
    {
        $length = $native->header('content-length');
        if ($length === '0' || $length === null && $native->header('transfer-encoding') === null) {
            return $native->body();
        }
        if ($native->method() === 'POST' && Input::type($native) === 'multipart/form-data') {
            // PHP has none of it either.
            return '';
        }
        return $length !== null && (int) $length <= self::TEXT ? $native->body() : BodyResource::open($native);
    }

    private static function files(array $files): array
    {
        foreach ($files as $key => $file) {
            if (!\is_array($file)) {
                continue;
            }
            if (!isset($file['tmp_name'], $file['error']) || !\is_string($file['tmp_name'])) {
                $files[$key] = self::files($file);
            } elseif ($file['error'] === \UPLOAD_ERR_NO_FILE) {
                $files[$key] = null;
            } else {
                // In its test mode it does not ask PHP, which has not received the file.
                $files[$key] = new UploadedFile($file['tmp_name'], $file['name'], $file['type'], $file['error'], true);
            }
        }
        return $files;
    }

    /** Up to Symfony 6.0 a listener sends streamed responses while the kernel still handles the request. */
    private static function leaveStreamsToServer(KernelInterface $kernel): void
    {
        $container = $kernel->getContainer();
        if (!\class_exists(StreamedResponseListener::class) || !$container->has('event_dispatcher')) {
            return;
        }
        $dispatcher = $container->get('event_dispatcher');
        foreach ($dispatcher->getListeners(KernelEvents::RESPONSE) as $listener) {
            if (\is_array($listener) && $listener[0] instanceof StreamedResponseListener) {
                $dispatcher->removeListener(KernelEvents::RESPONSE, $listener);
            }
        }
    }

    /** A session of the request before must not be this one's. */
    private static function forgetSession(): void
    {
        if (!\function_exists('session_id') || \session_id() === '') {
            return;
        }
        if (\session_status() === \PHP_SESSION_ACTIVE) {
            \session_abort();
        }
        $_SESSION = [];
        \session_id('');
    }
}
