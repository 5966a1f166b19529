<?php

declare(strict_types=1);

namespace RoadRunner\Psr;

use RoadRunner\Request as Native;

/**
 * What PHP would put into `$_COOKIE`, `$_POST` and `$_FILES`.
 *
 * @internal
 */
final class Input
{
    /** Of several cookies with one name the first; a name may make an array. */
    public static function cookies(Native $request): array
    {
        $line = $request->header('cookie');
        if ($line === null) {
            return [];
        }
        $cookies = [];
        $odd = '';
        foreach (\explode(';', $line) as $pair) {
            $mark = \strpos($pair, '=');
            $name = \ltrim($mark === false ? $pair : \substr($pair, 0, $mark));
            if ($name === '') {
                continue;
            }
            $value = $mark === false ? '' : \rawurldecode(\substr($pair, $mark + 1));
            if (\strpbrk($name, ' .[') === false) {
                $cookies[$name] ??= $value;
            } else {
                $name = \str_replace(['%5B', '%5D'], ['[', ']'], \rawurlencode($name));
                $odd .= $name . '=' . \rawurlencode($value) . '&';
            }
        }
        if ($odd !== '') {
            \parse_str($odd, $more);
            $cookies += $more;
        }
        return $cookies;
    }

    /** Null where PHP would not look at the body. */
    public static function form(Native $request): ?array
    {
        if ($request->method() !== 'POST') {
            return null;
        }
        $type = self::type($request);
        if ($type !== 'application/x-www-form-urlencoded' && $type !== 'multipart/form-data') {
            return null;
        }
        if (\method_exists($request, 'form')) {
            return $request->form();
        }
        if ($type === 'multipart/form-data') {
            return null;
        }
        \parse_str($request->body(), $form);
        return $form;
    }

    /** As a tree; its leaves are arrays with `name`, `full_path`, `type`, `tmp_name`, `error` and `size`. */
    public static function files(Native $request): array
    {
        if ($request->method() !== 'POST' || self::type($request) !== 'multipart/form-data') {
            return [];
        }
        return \method_exists($request, 'files') ? $request->files() : [];
    }

    /** The media type of the body without its parameters, in lower case. */
    public static function type(Native $request): string
    {
        $type = $request->header('content-type') ?? '';
        return \strtolower(\substr($type, 0, \strcspn($type, ';, ')));
    }
}
