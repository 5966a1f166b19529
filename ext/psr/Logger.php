<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use Psr\Log\AbstractLogger;
use Psr\Log\InvalidArgumentException;
use RoadRunner\Exception;
use RoadRunner\Log;
use RoadRunner\LogChannel;

/** The server's log (PSR-3): the context is in fields of the line, and in the message where it names them. */
final class Logger extends AbstractLogger
{
    private readonly LogChannel $channel;

    /** @param string $channel the logger's name, which `logs.channels` may have settings for */
    public function __construct(string $channel = 'app')
    {
        $this->channel = Log::channel($channel);
    }

    /**
     * @param string $level
     * @param string|\Stringable $message
     */
    public function log($level, $message, array $context = []): void
    {
        $text = (string) $message;
        if (str_contains($text, '{')) {
            $text = strtr($text, $this->placeholders($context));
        }
        try {
            $this->channel->log((string) $level, $text, $context);
        } catch (Exception $error) {
            throw new InvalidArgumentException($error->getMessage(), 0, $error);
        }
    }

    /** @return array<string, string> */
    private function placeholders(array $context): array
    {
        $texts = [];
        foreach ($context as $name => $value) {
            $text = match (true) {
                $value === null, is_scalar($value), $value instanceof \Stringable => (string) $value,
                $value instanceof \DateTimeInterface => $value->format(\DateTimeInterface::RFC3339),
                $value instanceof \BackedEnum => (string) $value->value,
                is_object($value) => '[object ' . $value::class . ']',
                default => '[' . get_debug_type($value) . ']',
            };
            $texts['{' . $name . '}'] = $text;
        }
        return $texts;
    }
}
