<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use Psr\Http\Message\ResponseInterface;
use Psr\Http\Message\ServerRequestFactoryInterface;
use Psr\Http\Message\ServerRequestInterface;
use Psr\Http\Message\StreamFactoryInterface;
use Psr\Http\Message\StreamInterface;
use Psr\Http\Message\UploadedFileFactoryInterface;
use Psr\Http\Server\RequestHandlerInterface;
use RoadRunner\Request as Native;
use RoadRunner\Response as NativeResponse;

/**
 * Runs a PSR-15 handler, or a function from request to response, for the server's requests.
 *
 * In loop mode: `$worker->respond($handler($request))`.
 */
final class RequestHandler
{
    /** Bodies up to this size are sent as they are. */
    private const WHOLE = 1 << 16;

    private ?ServerRequestFactoryInterface $requests = null;
    private ?StreamFactoryInterface $streams = null;
    private ?UploadedFileFactoryInterface $files = null;

    /** @var RequestHandlerInterface|\Closure */
    private object $handler;

    private bool $isClosure;

    /**
     * @param RequestHandlerInterface|callable(ServerRequestInterface): ResponseInterface $handler
     * @param object|list<object>|null $factories the app's own PSR-17 factories; without them requests are those of
     * this namespace
     */
    public function __construct(object|array|string $handler, object|array|null $factories = null)
    {
        if ($handler instanceof RequestHandlerInterface) {
            $this->handler = $handler;
        } elseif (\is_callable($handler)) {
            $this->handler = $handler(...);
        } else {
            throw new \InvalidArgumentException(
                'expected a Psr\Http\Server\RequestHandlerInterface or a function from request to response, got '
                . \get_debug_type($handler)
            );
        }
        $this->isClosure = $this->handler instanceof \Closure;
        $this->useFactories($factories === null ? [] : (\is_array($factories) ? $factories : [$factories]));
        // What every request needs is there before the workers are forked.
        \class_exists(Response::class) && \class_exists(ServerRequest::class) && \class_exists(RequestBody::class);
        \class_exists(Uri::class) && \class_exists(Stream::class) && \class_exists(Input::class);
    }

    /**
     * What `Server::psr()` runs: `$handler` is a PSR-15 handler or an object of this class, a function from what `boot()` has
     * returned to one, or null for what `boot()` has returned.
     *
     * @internal
     */
    public static function forServer(mixed $handler, mixed $app, mixed $factories): self
    {
        $isReady = $handler instanceof RequestHandlerInterface || $handler instanceof self;
        if (!$isReady && \is_callable($handler)) {
            $handler = $handler($app);
        }
        $handler ??= $app;
        if ($handler instanceof self && $factories === null) {
            return $handler;
        }
        if (!$handler instanceof RequestHandlerInterface) {
            throw new \InvalidArgumentException(
                'Server::psr(): expected a Psr\Http\Server\RequestHandlerInterface, got ' . \get_debug_type($handler)
                . '; it is the second argument, what the function there returns, or else what boot() returns'
            );
        }
        return new self($handler, $factories);
    }

    public function __invoke(Native $native): NativeResponse
    {
        $request = $this->requests === null ? ServerRequest::of($native) : $this->foreign($native);
        return self::respond($this->isClosure ? ($this->handler)($request) : $this->handler->handle($request));
    }

    /** The server's response of a PSR-7 one. */
    public static function respond(ResponseInterface $response): NativeResponse
    {
        if ($response instanceof Response && ($native = $response->native()) !== null) {
            return $native;
        }
        $body = $response->getBody();
        $status = $response->getStatusCode();
        $headers = $response->getHeaders();
        $size = $body->getSize();
        if ($size === 0) {
            return new NativeResponse('', $status, $headers);
        }
        if ($size !== null && $size <= self::WHOLE || !$body->isReadable()) {
            return new NativeResponse((string) $body, $status, $headers);
        }
        if ($body->isSeekable()) {
            $body->rewind();
            if ($size !== null && !$response->hasHeader('content-length')) {
                $headers['Content-Length'] = [(string) $size];
            }
        }
        return new NativeResponse(self::pieces($body), $status, $headers);
    }

    /** @return \Generator<string> */
    private static function pieces(StreamInterface $body): \Generator
    {
        try {
            while (!$body->eof()) {
                $piece = $body->read(self::WHOLE);
                if ($piece !== '') {
                    yield $piece;
                }
            }
        } finally {
            $body->close();
        }
    }

    /** @param array<object> $factories */
    private function useFactories(array $factories): void
    {
        foreach ($factories as $factory) {
            if ($factory instanceof ServerRequestFactoryInterface) {
                $this->requests ??= $factory;
            }
            if ($factory instanceof StreamFactoryInterface) {
                $this->streams ??= $factory;
            }
            if ($factory instanceof UploadedFileFactoryInterface) {
                $this->files ??= $factory;
            }
        }
        if ($factories !== [] && $this->requests === null) {
            throw new \InvalidArgumentException('none of the factories is a Psr\Http\Message\ServerRequestFactoryInterface');
        }
    }

    private function foreign(Native $native): ServerRequestInterface
    {
        $request = $this->requests->createServerRequest($native->method(), (string) Uri::of($native), $native->server());
        foreach ($native->headers() as $name => $values) {
            $request = $request->withHeader((string) $name, $values);
        }
        $protocol = \substr($native->protocol(), 5);
        if ($request->getProtocolVersion() !== $protocol) {
            $request = $request->withProtocolVersion($protocol);
        }
        $cookies = Input::cookies($native);
        if ($cookies !== []) {
            $request = $request->withCookieParams($cookies);
        }
        if ($native->queryString() !== '') {
            $request = $request->withQueryParams($native->query());
        }
        $form = Input::form($native);
        if ($form !== null) {
            $request = $request->withParsedBody($form);
            $files = Input::files($native);
            if ($files !== []) {
                $request = $request->withUploadedFiles(UploadedFile::tree($files, $this->files, $this->streams));
            }
        }
        return $request->withBody(new RequestBody($native));
    }
}
