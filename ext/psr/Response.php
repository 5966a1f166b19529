<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use Psr\Http\Message\ResponseInterface;
use Psr\Http\Message\StreamInterface;
use RoadRunner\Response as NativeResponse;

/** A response (PSR-7). */
final class Response implements ResponseInterface
{
    use Message;

    private const REASONS = [
        100 => 'Continue', 101 => 'Switching Protocols', 102 => 'Processing', 103 => 'Early Hints',
        200 => 'OK', 201 => 'Created', 202 => 'Accepted', 203 => 'Non-Authoritative Information', 204 => 'No Content',
        205 => 'Reset Content', 206 => 'Partial Content', 207 => 'Multi-Status', 208 => 'Already Reported',
        226 => 'IM Used', 300 => 'Multiple Choices', 301 => 'Moved Permanently', 302 => 'Found', 303 => 'See Other',
        304 => 'Not Modified', 305 => 'Use Proxy', 307 => 'Temporary Redirect', 308 => 'Permanent Redirect',
        400 => 'Bad Request', 401 => 'Unauthorized', 402 => 'Payment Required', 403 => 'Forbidden', 404 => 'Not Found',
        405 => 'Method Not Allowed', 406 => 'Not Acceptable', 407 => 'Proxy Authentication Required',
        408 => 'Request Timeout', 409 => 'Conflict', 410 => 'Gone', 411 => 'Length Required',
        412 => 'Precondition Failed', 413 => 'Content Too Large', 414 => 'URI Too Long',
        415 => 'Unsupported Media Type', 416 => 'Range Not Satisfiable', 417 => 'Expectation Failed',
        421 => 'Misdirected Request', 422 => 'Unprocessable Content', 423 => 'Locked', 424 => 'Failed Dependency',
        425 => 'Too Early', 426 => 'Upgrade Required', 428 => 'Precondition Required', 429 => 'Too Many Requests',
        431 => 'Request Header Fields Too Large', 451 => 'Unavailable For Legal Reasons',
        500 => 'Internal Server Error', 501 => 'Not Implemented', 502 => 'Bad Gateway', 503 => 'Service Unavailable',
        504 => 'Gateway Timeout', 505 => 'HTTP Version Not Supported', 506 => 'Variant Also Negotiates',
        507 => 'Insufficient Storage', 508 => 'Loop Detected', 511 => 'Network Authentication Required',
    ];

    private int $status;

    private ?string $reason;

    /**
     * @param array<string, string|int|float|list<string|int|float>> $headers
     * @param string|resource|StreamInterface|null $body
     */
    public function __construct(
        int $status = 200,
        array $headers = [],
        $body = null,
        string $version = '1.1',
        ?string $reason = null,
    ) {
        $this->status = self::status($status);
        $this->reason = $reason === '' ? null : $reason;
        if ($headers !== []) {
            $this->setHeaders($headers);
        }
        if ($body !== null && $body !== '') {
            $this->body = Stream::of($body);
        }
        $this->version = $version;
    }

    public function getStatusCode(): int
    {
        return $this->status;
    }

    public function getReasonPhrase(): string
    {
        return $this->reason ?? self::REASONS[$this->status] ?? '';
    }

    public function withStatus($code, $reasonPhrase = ''): static
    {
        if (!\is_string($reasonPhrase)) {
            throw new \InvalidArgumentException('a reason phrase is a string');
        }
        $copy = clone $this;
        $copy->status = self::status($code);
        $copy->reason = $reasonPhrase === '' ? null : $reasonPhrase;
        return $copy;
    }

    /**
     * The server's response, if the body is a string; null otherwise.
     *
     * @internal
     */
    public function native(): ?NativeResponse
    {
        $text = $this->body === null ? '' : ($this->body instanceof Stream ? $this->body->text() : null);
        return $text === null ? null : new NativeResponse($text, $this->status, $this->headers);
    }

    private static function status(mixed $status): int
    {
        if (\is_string($status) && \ctype_digit($status)) {
            $status = (int) $status;
        }
        if (!\is_int($status) || $status < 100 || $status > 599) {
            throw new \InvalidArgumentException('a status is an integer from 100 to 599');
        }
        return $status;
    }
}
