<?php

// Made by `cargo xtask stubs`: edit the Rust sources.

// Stubs for roadrunner

namespace RoadRunner {
    /**
     * The command line `rr`.
     */
    class Cli {
        public function __construct() {}

        /**
         * Does what the arguments say, which are those behind the program's name. Returns the exit code; `serve` returns
         * when the server has stopped.
         *
         * @param list<string> $arguments
         * @throws ConfigException
         *
         * @param array $arguments
         * @return int
         */
        public static function main(array $arguments): int {}
    }

    /**
     * A number that only goes up.
     */
    class Counter {
        public function __construct() {}

        /**
         * Adds to it, 1 unless given.
         *
         * @param list<string> $labels values of its labels, in their order, unless `with()` has given them
         * @throws MetricsException it would go down, or the labels do not fit
         * @throws RoleException outside of a worker
         *
         * @param float|null $by
         * @param array|null $labels
         * @return void
         */
        public function inc(?float $by = null, ?array $labels = null): void {}

        /**
         * The counter for these values of its labels: the fastest to count with.
         *
         * @param list<string> $labels
         * @throws MetricsException the labels do not fit
         *
         * @param array $labels
         * @return \RoadRunner\Counter
         */
        public function with(array $labels): \RoadRunner\Counter {}
    }

    /**
     * A number that goes up and down.
     */
    class Gauge {
        public function __construct() {}

        /**
         * Takes from it, 1 unless given.
         *
         * @param list<string> $labels values of its labels, in their order, unless `with()` has given them
         * @throws MetricsException the labels do not fit
         * @throws RoleException outside of a worker
         *
         * @param float|null $by
         * @param array|null $labels
         * @return void
         */
        public function dec(?float $by = null, ?array $labels = null): void {}

        /**
         * Adds to it, 1 unless given.
         *
         * @param list<string> $labels values of its labels, in their order, unless `with()` has given them
         * @throws MetricsException the labels do not fit
         * @throws RoleException outside of a worker
         *
         * @param float|null $by
         * @param array|null $labels
         * @return void
         */
        public function inc(?float $by = null, ?array $labels = null): void {}

        /**
         * Sets it.
         *
         * @param list<string> $labels values of its labels, in their order, unless `with()` has given them
         * @throws MetricsException the labels do not fit
         * @throws RoleException outside of a worker
         *
         * @param float $value
         * @param array|null $labels
         * @return void
         */
        public function set(float $value, ?array $labels = null): void {}

        /**
         * The gauge for these values of its labels.
         *
         * @param list<string> $labels
         * @throws MetricsException the labels do not fit
         *
         * @param array $labels
         * @return \RoadRunner\Gauge
         */
        public function with(array $labels): \RoadRunner\Gauge {}
    }

    /**
     * Observations, counted in buckets.
     */
    class Histogram {
        public function __construct() {}

        /**
         * Takes an observation.
         *
         * @param list<string> $labels values of its labels, in their order, unless `with()` has given them
         * @throws MetricsException it is not finite, or the labels do not fit
         * @throws RoleException outside of a worker
         *
         * @param float $value
         * @param array|null $labels
         * @return void
         */
        public function observe(float $value, ?array $labels = null): void {}

        /**
         * The histogram for these values of its labels.
         *
         * @param list<string> $labels
         * @throws MetricsException the labels do not fit
         *
         * @param array $labels
         * @return \RoadRunner\Histogram
         */
        public function with(array $labels): \RoadRunner\Histogram {}
    }

    /**
     * A key-value storage.
     */
    class KeyValue {
        public function __construct() {}

        /**
         * Removes everything, of all workers.
         *
         * @return void
         */
        public function clear(): void {}

        /**
         * Sets a key if its value is `$expected`, in one step for all workers; null stands for a key that is not there.
         * Whether it was set.
         *
         * @param string $key
         * @param mixed $expected
         * @param mixed $value
         * @param float|null $ttl
         * @return bool
         */
        public function compareAndSet(string $key, mixed $expected, mixed $value, ?float $ttl = null): bool {}

        /**
         * Removes a key; whether it was there.
         *
         * @param string $key
         * @return bool
         */
        public function delete(string $key): bool {}

        /**
         * Removes several keys in one call; how many were there.
         *
         * @param array<string> $keys
         *
         * @param array $keys
         * @return int
         */
        public function deleteMultiple(array $keys): int {}

        /**
         * Gives a key another end, in seconds from now, null for none; whether it is there.
         *
         * @param string $key
         * @param float|null $ttl
         * @return bool
         */
        public function expire(string $key, ?float $ttl = null): bool {}

        /**
         * The value of a key, or `$default`. Costs no call to the server where the driver is memory.
         *
         * @param string $key
         * @param mixed $default
         * @return mixed
         */
        public function get(string $key, mixed $default = null): mixed {}

        /**
         * The values of keys, by key; `$default` for those that are not there.
         *
         * @param array<string> $keys
         * @return array<string, mixed>
         *
         * @param array $keys
         * @param mixed $default
         * @return mixed
         */
        public function getMultiple(array $keys, mixed $default = null): mixed {}

        /**
         * The value of a key, computed by `$compute` if it is not there. One worker computes at a time, for `$timeout`
         * seconds at most, while others wait for it. A value that is older than `$ttl` seconds is kept for `$stale` seconds
         * more: one worker computes it anew while the others take the old one.
         *
         * @throws KeyValueException the key is empty, or there is no room
         *
         * @param string $key
         * @param mixed $compute
         * @param float|null $ttl
         * @param float|null $stale
         * @param float $timeout
         * @return mixed
         */
        public function getOrCompute(string $key, mixed $compute, ?float $ttl = null, ?float $stale = null, float $timeout = 30.0): mixed {}

        /**
         * Whether a key is there.
         *
         * @param string $key
         * @return bool
         */
        public function has(string $key): bool {}

        /**
         * Adds to an int, in one step for all workers, and gives the sum. A key that is not there is 0, and lives for `$ttl`
         * seconds.
         *
         * @throws KeyValueException the value is no int, or the sum is too large for one
         *
         * @param string $key
         * @param int $by
         * @param float|null $ttl
         * @return int
         */
        public function increment(string $key, int $by = 1, ?float $ttl = null): int {}

        /**
         * A storage of the `kv` section by its name. `serializer`: `auto` (igbinary where it is loaded, else PHP's), `php`,
         * which clients of RoadRunner's RPC can read, or `raw` for strings as they are.
         *
         * @throws KeyValueException there is no such storage
         *
         * @param string $name
         * @param string $serializer
         * @return \RoadRunner\KeyValue
         */
        public static function open(string $name, string $serializer = 'auto'): \RoadRunner\KeyValue {}

        /**
         * Sets a key; `$ttl` in seconds, null for ever. With nothing left of it the key is removed.
         *
         * @throws KeyValueException the key is empty, or there is no room
         *
         * @param string $key
         * @param mixed $value
         * @param float|null $ttl
         * @return void
         */
        public function set(string $key, mixed $value, ?float $ttl = null): void {}

        /**
         * Sets several keys in one call.
         *
         * @param array<string, mixed> $values
         * @throws KeyValueException a key is empty, or there is no room; some may be set then
         *
         * @param array $values
         * @param float|null $ttl
         * @return void
         */
        public function setMultiple(array $values, ?float $ttl = null): void {}

        /**
         * Seconds that a key has left: `INF` if it has no end, null if it is not there.
         *
         * @param string $key
         * @return float|null
         */
        public function ttl(string $key): ?float {}
    }

    /**
     * A lock that this worker holds: `Lock::acquire('invoice:7', ttl: 5, wait: 1)`.
     *
     * It is given back by `release()`, when the object goes, when the request or the worker ends however it ends, or when
     * its ttl is over. All workers and the clients of RoadRunner's RPC share the same locks; who waits is served in order.
     */
    class Lock {
        public function __construct() {}

        /**
         * Takes a lock, or gives null if it is not free within `$wait` seconds; without a wait it does not wait.
         *
         * Shared locks of one name are held together, others alone. After `$ttl` seconds the lock is free for others, whether
         * its holder has ended or not; 0 is a year. A lock is not re-entrant: who holds it waits for itself.
         *
         * @throws LockException there are too many locks, a time is negative, or the server that keeps the locks does not answer
         * @throws RoleException outside of a worker
         *
         * @param string $name
         * @param float $ttl
         * @param float $wait
         * @param bool $shared
         * @return \RoadRunner\Lock|null
         */
        public static function acquire(string $name, float $ttl = 0.0, float $wait = 0.0, bool $shared = false): ?\RoadRunner\Lock {}

        /**
         * Whether anybody holds a lock of this name.
         *
         * @throws RoleException outside of a worker
         *
         * @param string $name
         * @return bool
         */
        public static function exists(string $name): bool {}

        /**
         * Takes a lock from all who hold it. False: nobody does.
         *
         * @throws RoleException outside of a worker
         *
         * @param string $name
         * @return bool
         */
        public static function forceRelease(string $name): bool {}

        /**
         * Whether the lock is held now, as the server sees it.
         *
         * @throws LockException the server that keeps the locks does not answer
         * @throws ChannelException
         *
         * @return bool
         */
        public function isHeld(): bool {}

        /**
         * The name.
         *
         * @return string
         */
        public function name(): string {}

        /**
         * Has the lock last `$ttl` seconds from now; 0 is a year. False: it has ended.
         *
         * @throws LockException the time is negative, or the server that keeps the locks does not answer
         *
         * @param float $ttl
         * @return bool
         */
        public function refresh(float $ttl = 0.0): bool {}

        /**
         * Gives the lock back. False: it had ended before, by its ttl or by force.
         *
         * @throws LockException the server that keeps the locks does not answer; the lock is given back once it does
         * @throws ChannelException
         *
         * @return bool
         */
        public function release(): bool {}

        /**
         * How many seconds the lock lasts; 0 when it has ended.
         *
         * @throws LockException the server that keeps the locks does not answer
         * @throws ChannelException
         *
         * @return float
         */
        public function remaining(): float {}

        /**
         * The fencing token: greater than that of every lock of this name before, also across a restart. What the lock
         * protects can refuse a smaller token than it has seen.
         *
         * @return int
         */
        public function token(): int {}

        /**
         * Calls `$callback` while it holds the lock, and gives what that returns. The lock is released when it returns,
         * throws or exits. The callback gets the lock.
         *
         * @param callable(Lock): mixed $callback
         * @throws LockException the lock was not free within `$wait` seconds, and the callback was not called
         * @throws RoleException outside of a worker
         *
         * @param string $name
         * @param mixed $callback
         * @param float $ttl
         * @param float $wait
         * @param bool $shared
         * @return mixed
         */
        public static function with(string $name, mixed $callback, float $ttl = 0.0, float $wait = 0.0, bool $shared = false): mixed {}
    }

    /**
     * The server's log. What stands in the context is in fields of its own: `Log::info('paid', ['order' => 7])`.
     *
     * Inside a worker the line has the number of the request; elsewhere it is written to stderr.
     */
    class Log {
        public function __construct() {}

        /**
         * Somebody must act at once.
         *
         * @param string|\Stringable $message
         * @param array<string, mixed> $context
         *
         * @param mixed $message
         * @param array|null $context
         * @return void
         */
        public static function alert(mixed $message, ?array $context = null): void {}

        /**
         * A channel of that name.
         *
         * @throws Exception the name is empty, or longer than 64 bytes
         *
         * @param string $name
         * @return \RoadRunner\LogChannel
         */
        public static function channel(string $name): \RoadRunner\LogChannel {}

        /**
         * A part does not work.
         *
         * @param string|\Stringable $message
         * @param array<string, mixed> $context
         *
         * @param mixed $message
         * @param array|null $context
         * @return void
         */
        public static function critical(mixed $message, ?array $context = null): void {}

        /**
         * For the developer.
         *
         * @param string|\Stringable $message
         * @param array<string, mixed> $context
         *
         * @param mixed $message
         * @param array|null $context
         * @return void
         */
        public static function debug(mixed $message, ?array $context = null): void {}

        /**
         * The server cannot be used.
         *
         * @param string|\Stringable $message
         * @param array<string, mixed> $context
         *
         * @param mixed $message
         * @param array|null $context
         * @return void
         */
        public static function emergency(mixed $message, ?array $context = null): void {}

        /**
         * Something went wrong.
         *
         * @param string|\Stringable $message
         * @param array<string, mixed> $context
         *
         * @param mixed $message
         * @param array|null $context
         * @return void
         */
        public static function error(mixed $message, ?array $context = null): void {}

        /**
         * What happened.
         *
         * @param string|\Stringable $message
         * @param array<string, mixed> $context
         *
         * @param mixed $message
         * @param array|null $context
         * @return void
         */
        public static function info(mixed $message, ?array $context = null): void {}

        /**
         * Of a level by its name.
         *
         * @param string|\Stringable $message
         * @param array<string, mixed> $context
         * @throws Exception there is no such level
         *
         * @param string $level
         * @param mixed $message
         * @param array|null $context
         * @return void
         */
        public static function log(string $level, mixed $message, ?array $context = null): void {}

        /**
         * Worth noting.
         *
         * @param string|\Stringable $message
         * @param array<string, mixed> $context
         *
         * @param mixed $message
         * @param array|null $context
         * @return void
         */
        public static function notice(mixed $message, ?array $context = null): void {}

        /**
         * Something to look at.
         *
         * @param string|\Stringable $message
         * @param array<string, mixed> $context
         *
         * @param mixed $message
         * @param array|null $context
         * @return void
         */
        public static function warning(mixed $message, ?array $context = null): void {}
    }

    /**
     * A channel of the log: a logger's name, which `logs.channels` can give a level, a look and outputs of its own.
     */
    class LogChannel {
        public function __construct() {}

        /**
         * Somebody must act at once.
         *
         * @param string|\Stringable $message
         * @param array<string, mixed> $context
         *
         * @param mixed $message
         * @param array|null $context
         * @return void
         */
        public function alert(mixed $message, ?array $context = null): void {}

        /**
         * A part does not work.
         *
         * @param string|\Stringable $message
         * @param array<string, mixed> $context
         *
         * @param mixed $message
         * @param array|null $context
         * @return void
         */
        public function critical(mixed $message, ?array $context = null): void {}

        /**
         * For the developer.
         *
         * @param string|\Stringable $message
         * @param array<string, mixed> $context
         *
         * @param mixed $message
         * @param array|null $context
         * @return void
         */
        public function debug(mixed $message, ?array $context = null): void {}

        /**
         * The server cannot be used.
         *
         * @param string|\Stringable $message
         * @param array<string, mixed> $context
         *
         * @param mixed $message
         * @param array|null $context
         * @return void
         */
        public function emergency(mixed $message, ?array $context = null): void {}

        /**
         * Something went wrong.
         *
         * @param string|\Stringable $message
         * @param array<string, mixed> $context
         *
         * @param mixed $message
         * @param array|null $context
         * @return void
         */
        public function error(mixed $message, ?array $context = null): void {}

        /**
         * What happened.
         *
         * @param string|\Stringable $message
         * @param array<string, mixed> $context
         *
         * @param mixed $message
         * @param array|null $context
         * @return void
         */
        public function info(mixed $message, ?array $context = null): void {}

        /**
         * Of a level by its name.
         *
         * @param string|\Stringable $message
         * @param array<string, mixed> $context
         * @throws Exception there is no such level
         *
         * @param string $level
         * @param mixed $message
         * @param array|null $context
         * @return void
         */
        public function log(string $level, mixed $message, ?array $context = null): void {}

        /**
         * Worth noting.
         *
         * @param string|\Stringable $message
         * @param array<string, mixed> $context
         *
         * @param mixed $message
         * @param array|null $context
         * @return void
         */
        public function notice(mixed $message, ?array $context = null): void {}

        /**
         * Something to look at.
         *
         * @param string|\Stringable $message
         * @param array<string, mixed> $context
         *
         * @param mixed $message
         * @param array|null $context
         * @return void
         */
        public function warning(mixed $message, ?array $context = null): void {}
    }

    /**
     * Declares the metrics of the app: `Metrics::counter('hits', ['route'])->inc(1, ['/'])`.
     *
     * A collector is made by the first call that names it, or stands in `metrics.collect` of the config; calls that name
     * it again get the same. Counting works inside a worker only; without a `metrics` section nobody can read it.
     */
    class Metrics {
        public function __construct() {}

        /**
         * A counter. Names in Prometheus' style end with `_total`.
         *
         * @param list<string> $labels names of its labels
         * @throws MetricsException a label is no text
         *
         * @param string $name
         * @param array|null $labels
         * @param string|null $help
         * @return \RoadRunner\Counter
         */
        public static function counter(string $name, ?array $labels = null, ?string $help = null): \RoadRunner\Counter {}

        /**
         * A gauge.
         *
         * @param list<string> $labels names of its labels
         * @throws MetricsException a label is no text
         *
         * @param string $name
         * @param array|null $labels
         * @param string|null $help
         * @return \RoadRunner\Gauge
         */
        public static function gauge(string $name, ?array $labels = null, ?string $help = null): \RoadRunner\Gauge {}

        /**
         * A histogram.
         *
         * @param list<string> $labels names of its labels
         * @param list<int|float> $buckets upper bounds, ascending; unset, those of Prometheus from 5 ms to 10 s
         * @throws MetricsException a label is no text, or a bucket no number
         *
         * @param string $name
         * @param array|null $labels
         * @param array|null $buckets
         * @param string|null $help
         * @return \RoadRunner\Histogram
         */
        public static function histogram(string $name, ?array $labels = null, ?array $buckets = null, ?string $help = null): \RoadRunner\Histogram {}

        /**
         * A summary.
         *
         * @param list<string> $labels names of its labels
         * @param list<float> $quantiles from 0 to 1
         * @throws MetricsException a label is no text, or a quantile no number
         *
         * @param string $name
         * @param array|null $labels
         * @param array|null $quantiles
         * @param string|null $help
         * @return \RoadRunner\Summary
         */
        public static function summary(string $name, ?array $labels = null, ?array $quantiles = null, ?string $help = null): \RoadRunner\Summary {}

        /**
         * Forgets a collector and its numbers. Objects that count for it make it anew.
         *
         * @throws MetricsException there is none of that name
         * @throws RoleException outside of a worker
         *
         * @param string $name
         * @return void
         */
        public static function unregister(string $name): void {}
    }

    /**
     * An HTTP request.
     *
     * Its values are made when they are asked for. It stays usable after the response, but what had not been read of
     * a long body by then is gone.
     */
    class Request {
        public function __construct() {}

        /**
         * The whole body; empty for a form with files, which the server has parsed. A long one is read to its end first.
         *
         * @throws ClientGoneException the client went away inside the body
         *
         * @return string
         */
        public function body(): string {}

        /**
         * The cookies, decoded; of several with one name the last.
         *
         * @return array<string, string>
         *
         * @return array
         */
        public function cookies(): array {}

        /**
         * The files of a form, nested as their names say; each is an array of name, full_path, type, tmp_name, error
         * (`UPLOAD_ERR_*`) and size. They are removed when the request is over; `move_uploaded_file()` keeps one.
         *
         * @return array<int|string, mixed>
         * @throws ClientGoneException the client went away inside the body
         *
         * @return array
         */
        public function files(): array {}

        /**
         * The fields of a form, `application/x-www-form-urlencoded` or `multipart/form-data`, as `$_POST` has them; empty
         * for other bodies. PHP's limits hold, such as `max_input_vars`.
         *
         * @return array<int|string, mixed>
         * @throws ClientGoneException the client went away inside the body
         *
         * @return array
         */
        public function form(): array {}

        /**
         * The header of this name in any case, several joined by `, `; null without one.
         *
         * @param string $name
         * @return string|null
         */
        public function header(string $name): ?string {}

        /**
         * All headers, names in lower case.
         *
         * @return array<string, list<string>>
         *
         * @return array
         */
        public function headers(): array {}

        /**
         * The host and port the client asked for.
         *
         * @return string
         */
        public function host(): string {}

        /**
         * Whether the client has gone away, so that nobody reads the response.
         *
         * @return bool
         */
        public function isCancelled(): bool {}

        /**
         * Whether the client's connection is encrypted.
         *
         * @return bool
         */
        public function isSecure(): bool {}

        /**
         * The method: `GET`, `POST`, …
         *
         * @return string
         */
        public function method(): string {}

        /**
         * The path, still percent-encoded, without the query.
         *
         * @return string
         */
        public function path(): string {}

        /**
         * `HTTP/1.0`, `HTTP/1.1`, `HTTP/2.0` or `HTTP/3.0`.
         *
         * @return string
         */
        public function protocol(): string {}

        /**
         * The query as `parse_str()` gives it.
         *
         * @return array<int|string, mixed>
         *
         * @return array
         */
        public function query(): array {}

        /**
         * What stands behind the `?`, undecoded; empty without one.
         *
         * @return string
         */
        public function queryString(): string {}

        /**
         * The next piece of the body, up to `$length` bytes of what has arrived; null at its end. A body of any length
         * can be read this way in constant memory. Waits while nothing has arrived.
         *
         * @throws ClientGoneException the client went away inside the body
         *
         * @param int $length
         * @return string|null
         */
        public function read(int $length = 65536): ?string {}

        /**
         * The client's address without a port; empty on a unix socket.
         *
         * @return string
         */
        public function remoteAddress(): string {}

        /**
         * What `$_SERVER` would hold of this request: `REQUEST_METHOD`, `REQUEST_URI`, `REMOTE_ADDR`, `HTTP_*` and the
         * like, with the names and values of php-fpm.
         *
         * @return array<string, string|int|float>
         *
         * @return array
         */
        public function server(): array {}

        /**
         * The absolute URI: scheme, host, path and query as the client sent them.
         *
         * @return string
         */
        public function uri(): string {}
    }

    /**
     * An HTTP response.
     *
     * The body is a string, something with `__toString()`, an iterable of strings (a generator streams each piece as it is
     * made), a stream resource, a Closure that prints (`flush()` sends what is there), or an `SplFileInfo`, whose file the
     * server sends by itself.
     *
     * `write()` and `flush()` send a response piece by piece from inside the handler, which returns it in the end.
     */
    class Response {
        /**
         * A response.
         *
         * @param string|\Stringable|iterable<string>|resource|\SplFileInfo|\Closure|null $body
         * @param array<string, string|int|list<string>> $headers
         * @throws Exception the status is not from 200 to 599, or the body is of another type
         *
         * @param mixed $body
         * @param int $status
         * @param mixed $headers
         */
        public function __construct(mixed $body = null, int $status = 200, mixed $headers = null) {}

        /**
         * The body, if it is a string.
         *
         * @return string|null
         */
        public function body(): ?string {}

        /**
         * Sends a 103 before the response: `['Link' => ['</app.css>; rel=preload; as=style']]`.
         *
         * @param array<string, string|list<string>> $headers
         * @throws ClientGoneException nobody reads it
         * @throws RoleException outside of a request, or the response has begun
         *
         * @param mixed $headers
         * @return \RoadRunner\Response
         */
        public function earlyHints(mixed $headers): \RoadRunner\Response {}

        /**
         * Sends the rest and ends the response; the handler goes on. What it returns then is not sent.
         *
         * @throws ClientGoneException nobody reads it
         * @throws RoleException outside of a request
         *
         * @return void
         */
        public function end(): void {}

        /**
         * A stream of server-sent events (`text/event-stream`). Each item is a string, the event's data, or an array of
         * `data`, `event`, `id`, `retry` (milliseconds) and `comment`; an array as data becomes JSON.
         *
         * @param iterable<string|array<string, mixed>> $events
         * @param array<string, string|int|list<string>> $headers
         * @throws Exception
         *
         * @param mixed $events
         * @param mixed $headers
         * @return \RoadRunner\Response
         */
        public static function events(mixed $events, mixed $headers = null): \RoadRunner\Response {}

        /**
         * A response whose body is a file, sent by the server with its type, `ETag` and ranges. The worker's user must be
         * able to read it.
         *
         * @param array<string, string|int|list<string>> $headers
         * @throws Exception the path is empty
         *
         * @param mixed $path
         * @param mixed $headers
         * @return \RoadRunner\Response
         */
        public static function file(mixed $path, mixed $headers = null): \RoadRunner\Response {}

        /**
         * Sends what there is: the head, if it is not on its way, and what was written.
         *
         * @throws ClientGoneException nobody reads it
         * @throws RoleException outside of a request
         *
         * @return \RoadRunner\Response
         */
        public function flush(): \RoadRunner\Response {}

        /**
         * The headers as they were given.
         *
         * @return array<string, string|int|list<string>>
         *
         * @return array
         */
        public function headers(): array {}

        /**
         * Sends a file as the body: see `file()`.
         *
         * @throws Exception
         *
         * @param mixed $path
         * @return \RoadRunner\Response
         */
        public function sendFile(mixed $path): \RoadRunner\Response {}

        /**
         * Sets the body.
         *
         * @param string|\Stringable|iterable<string>|resource|\SplFileInfo|\Closure|null $body
         *
         * @param mixed $body
         * @return \RoadRunner\Response
         */
        public function setBody(mixed $body): \RoadRunner\Response {}

        /**
         * Sets a header, in place of one with exactly this name.
         *
         * @param string|int|list<string> $value
         *
         * @param string $name
         * @param mixed $value
         * @return \RoadRunner\Response
         */
        public function setHeader(string $name, mixed $value): \RoadRunner\Response {}

        /**
         * Sets the status code.
         *
         * @param int $status
         * @return \RoadRunner\Response
         */
        public function setStatus(int $status): \RoadRunner\Response {}

        /**
         * Sets a header that follows the body of a chunked response. Its name must be known before the first piece is
         * sent, its value before the last. Clients get it if they have said `TE: trailers`.
         *
         * @throws Exception
         *
         * @param string $name
         * @param string $value
         * @return \RoadRunner\Response
         */
        public function setTrailer(string $name, string $value): \RoadRunner\Response {}

        /**
         * The status code.
         *
         * @return int
         */
        public function status(): int {}

        /**
         * Writes a piece of the body, which stands before the one given to the constructor. It is sent with the next
         * `flush()`, or when there is much of it.
         *
         * @throws ClientGoneException nobody reads it
         * @throws RoleException outside of a request
         *
         * @param mixed $piece
         * @return \RoadRunner\Response
         */
        public function write(mixed $piece): \RoadRunner\Response {}
    }

    /**
     * Calls of RoadRunner's RPC methods: `Rpc::call('informer.Workers', 'http')`.
     */
    class Rpc {
        public function __construct() {}

        /**
         * Calls a method of the server and waits for its result. Argument and result are what JSON can say: null, bools,
         * numbers, texts in UTF-8 and arrays of them.
         *
         * @throws RpcException the method failed, or there is none of that name
         * @throws RoleException outside of a worker
         *
         * @param string $method
         * @param mixed $argument
         * @return mixed
         */
        public static function call(string $method, mixed $argument = null): mixed {}
    }

    /**
     * The server: settings, the app, and `run()`.
     *
     * What stands above `run()` runs in the master too; what belongs to the app goes into `boot()`.
     */
    class Server {
        public function __construct() {}

        /**
         * Runs before each worker is forked, in the process it is forked from: `fn (mixed $app): void`. Close here
         * what must not be shared: database handles, sockets, open files.
         *
         * @param mixed $hook
         * @return \RoadRunner\Server
         */
        public function beforeFork(mixed $hook): \RoadRunner\Server {}

        /**
         * The app's start. Runs once per release, in a process that workers are forked from; what it returns is the
         * second argument of the handler.
         *
         * @param mixed $boot
         * @return \RoadRunner\Server
         */
        public function boot(mixed $boot): \RoadRunner\Server {}

        /**
         * Checks a file without starting anything; returns the warnings.
         *
         * @return list<string>
         * @throws ConfigException
         *
         * @param string $path
         * @return array
         */
        public static function check(string $path = '.rr.yaml'): array {}

        /**
         * A server with settings from PHP: the keys of `.rr.yaml` as nested arrays.
         *
         * @param array<string, mixed> $settings
         * @throws ConfigException
         *
         * @param mixed $settings
         * @return \RoadRunner\Server
         */
        public static function create(mixed $settings = null): \RoadRunner\Server {}

        /**
         * Serves HTTP with the PHP files of a document root, as php-fpm does: the file that the path names, or else the
         * front controller (`http.app.index`). Other files are sent as they are.
         *
         * @param string|list<string>|null $address
         * @param string $mode `classic`: PHP starts anew for each request, as with php-fpm; `globals`: the worker lives
         * on; `snapshot`: a fresh fork of the booted app for each request
         * @throws ConfigException
         *
         * @param mixed $address
         * @param string $root
         * @param string $mode
         * @return \RoadRunner\Server
         */
        public function files(mixed $address, string $root, string $mode = 'classic'): \RoadRunner\Server {}

        /**
         * A server with the settings of a file.
         *
         * @param list<string> $overrides `key.path=value` each, as `rr -o`
         * @throws ConfigException
         *
         * @param string $path
         * @param array|null $overrides
         * @return \RoadRunner\Server
         */
        public static function fromFile(string $path = '.rr.yaml', ?array $overrides = null): \RoadRunner\Server {}

        /**
         * Serves HTTP with a function that finds its request in `$_GET`, `$_POST`, `$_SERVER` and the like and prints
         * its response: `fn (mixed $app): void`. The worker lives on between requests.
         *
         * @param string|list<string>|null $address
         * @throws ConfigException
         *
         * @param mixed $address
         * @param mixed $handler
         * @return \RoadRunner\Server
         */
        public function globals(mixed $address, mixed $handler): \RoadRunner\Server {}

        /**
         * Serves HTTP with a handler: `fn (Request $request, mixed $app): Response|string|null`, or an object that is a
         * `Psr\Http\Server\RequestHandlerInterface` or a `Symfony\Component\HttpKernel\HttpKernelInterface`.
         *
         * @param string|list<string>|null $address `127.0.0.1:8080`, `:8080`, `unix:///run/app.sock`; null: from config
         * @param callable|\Psr\Http\Server\RequestHandlerInterface|\Symfony\Component\HttpKernel\HttpKernelInterface $handler
         * @throws ConfigException
         *
         * @param mixed $address
         * @param mixed $handler
         * @return \RoadRunner\Server
         */
        public function http(mixed $address, mixed $handler): \RoadRunner\Server {}

        /**
         * Serves HTTP with a loop: `fn (Worker $worker, mixed $app): void`.
         *
         * @param string|list<string>|null $address
         * @throws ConfigException
         *
         * @param mixed $address
         * @param mixed $loop
         * @return \RoadRunner\Server
         */
        public function httpLoop(mixed $address, mixed $loop): \RoadRunner\Server {}

        /**
         * Runs in each new worker before its first request: `fn (mixed $app): void`. Open here what was closed.
         *
         * @param mixed $hook
         * @return \RoadRunner\Server
         */
        public function onWorkerStart(mixed $hook): \RoadRunner\Server {}

        /**
         * Runs in each worker that ends in order: `fn (mixed $app): void`.
         *
         * @param mixed $hook
         * @return \RoadRunner\Server
         */
        public function onWorkerStop(mixed $hook): \RoadRunner\Server {}

        /**
         * Serves HTTP with a PSR-15 handler: an object, a function `fn (mixed $app)` that returns one, or null for what
         * `boot()` has returned. The function runs once per release, after `boot()`.
         *
         * @param string|list<string>|null $address
         * @param \Psr\Http\Server\RequestHandlerInterface|callable|null $handler
         * @param object|list<object>|null $factories the app's own PSR-17 factories; without them requests are those of
         * `RoadRunner\Psr`
         * @throws ConfigException
         *
         * @param mixed $address
         * @param mixed $handler
         * @param mixed $factories
         * @return \RoadRunner\Server
         */
        public function psr(mixed $address, mixed $handler = null, mixed $factories = null): \RoadRunner\Server {}

        /**
         * From a request: has the server boot the app anew and replace its workers. Returns before that is done.
         *
         * @throws RoleException outside of a worker
         *
         * @return void
         */
        public static function reload(): void {}

        /**
         * Starts the server and returns when it has been stopped. A server that cannot start says why on stderr and
         * ends the script with exit code 1.
         *
         * @throws ConfigException
         * @throws RoleException inside a worker, or called twice
         *
         * @return int
         */
        public function run(): int {}

        /**
         * Serves HTTP with a worker script that calls `rr_handle_request()` in a loop.
         *
         * @param string|list<string>|null $address
         * @throws ConfigException
         *
         * @param mixed $address
         * @param string $file
         * @return \RoadRunner\Server
         */
        public function script(mixed $address, string $file): \RoadRunner\Server {}

        /**
         * Sets one setting by its path, such as `http.pool.num_workers`.
         *
         * @throws ConfigException
         *
         * @param string $path
         * @param mixed $value
         * @return \RoadRunner\Server
         */
        public function set(string $path, mixed $value): \RoadRunner\Server {}

        /**
         * Serves HTTP with a function as `globals()` does, in a fresh fork of the booted app for each request: nothing
         * that a request does is there for another.
         *
         * @param string|list<string>|null $address
         * @throws ConfigException
         *
         * @param mixed $address
         * @param mixed $handler
         * @return \RoadRunner\Server
         */
        public function snapshot(mixed $address, mixed $handler): \RoadRunner\Server {}

        /**
         * From a request: has the server finish what it does and stop.
         *
         * @throws RoleException outside of a worker
         *
         * @return void
         */
        public static function stop(): void {}

        /**
         * From a request: the workers as JSON, one object each.
         *
         * @throws RoleException outside of a worker
         *
         * @return string
         */
        public static function workers(): string {}
    }

    /**
     * Programs that the server runs beside its workers: it starts them again, logs what they print, and ends them with
     * itself. Needs a `service` section in the settings, which may be empty.
     */
    class Service {
        public function __construct() {}

        /**
         * The names of all services.
         *
         * @return list<string>
         * @throws ServiceException there is no `service` section
         * @throws RoleException outside of a worker
         *
         * @return array
         */
        public static function list(): array {}

        /**
         * Stops all processes of a service and starts them again; returns when they run.
         *
         * @throws ServiceException there is no such service, or it cannot be started
         * @throws RoleException outside of a worker
         *
         * @param string $name
         * @return void
         */
        public static function restart(string $name): void {}

        /**
         * Starts a service: `$processes` processes of `$command`, which is split at blanks; what belongs together stands in
         * quotes. With `$restart` a process that ends is started again `$pause` seconds later. One that runs for
         * `$timeout` seconds is killed; 0 is no limit. To stop a process gets SIGINT, and SIGKILL `$grace` seconds
         * later. With `$named` its lines have the logger `service.NAME`. It runs as `server.user`.
         *
         * @param array<string, string|int>|null $env further environment variables
         * @throws ServiceException there is one of this name, or the command cannot be started
         * @throws RoleException outside of a worker
         *
         * @param string $name
         * @param string $command
         * @param int $processes
         * @param array|null $env
         * @param bool $restart
         * @param int $pause
         * @param int $timeout
         * @param int $grace
         * @param bool $named
         * @return void
         */
        public static function start(string $name, string $command, int $processes = 1, ?array $env = null, bool $restart = false, int $pause = 30, int $timeout = 0, int $grace = 5, bool $named = false): void {}

        /**
         * The processes of a service. `error` says why one does not run, and `pid` is null then; `memory` is in bytes, `cpu`
         * in percent of one processor over its life.
         *
         * @return list<array{pid: int|null, cpu: float, memory: int, command: string, error: string|null}>
         * @throws ServiceException there is no such service
         * @throws RoleException outside of a worker
         *
         * @param string $name
         * @return array
         */
        public static function statuses(string $name): array {}

        /**
         * Stops a service and forgets it; returns when its processes have ended.
         *
         * @throws ServiceException there is no such service
         * @throws RoleException outside of a worker
         *
         * @param string $name
         * @return void
         */
        public static function terminate(string $name): void {}
    }

    /**
     * Observations of the last ten minutes, as quantiles.
     */
    class Summary {
        public function __construct() {}

        /**
         * Takes an observation.
         *
         * @param list<string> $labels values of its labels, in their order, unless `with()` has given them
         * @throws MetricsException it is not finite, or the labels do not fit
         * @throws RoleException outside of a worker
         *
         * @param float $value
         * @param array|null $labels
         * @return void
         */
        public function observe(float $value, ?array $labels = null): void {}

        /**
         * The summary for these values of its labels.
         *
         * @param list<string> $labels
         * @throws MetricsException the labels do not fit
         *
         * @param array $labels
         * @return \RoadRunner\Summary
         */
        public function with(array $labels): \RoadRunner\Summary {}
    }

    /**
     * The worker's side of the loop mode: `while ($request = $worker->receive()) { $worker->respond(…); }`
     */
    class Worker {
        public function __construct() {}

        /**
         * Answers the request with an error: `http.internal_error_code`, 500 by default. The text goes to the client
         * in debug mode only.
         *
         * @throws RoleException there is no request, or it has been answered
         *
         * @param string $message
         * @return void
         */
        public function fail(string $message): void {}

        /**
         * Waits for the next request; null when the worker should end.
         *
         * A request that has had no response by then is answered with an error.
         *
         * @throws RoleException outside of a worker
         *
         * @return \RoadRunner\Request|null
         */
        public function receive(): ?\RoadRunner\Request {}

        /**
         * Answers the request.
         *
         * @param Response|string|null $response
         * @throws ClientGoneException the client went away while the response was written
         * @throws RoleException there is no request, or it has been answered
         *
         * @param mixed $response
         * @return void
         */
        public function respond(mixed $response): void {}
    }
}

namespace {
    class RustClosure {
        /**
         * @param mixed $args
         * @return mixed
         */
        public function __invoke(mixed ...$args): mixed {}
    }
}

namespace RoadRunner {
    /**
     * The parent of all exceptions of this extension.
     */
    class Exception extends \RuntimeException {}

    /**
     * A setting is wrong; the message says where and what to do.
     */
    class ConfigException extends Exception {}

    /**
     * The call does not work in this kind of process, or at this time.
     */
    class RoleException extends Exception {}

    /**
     * The client went away before the request body was complete, or while the response was written.
     */
    class ClientGoneException extends Exception {}

    /**
     * The worker's channel to the server is broken; the worker is about to be replaced.
     */
    class ChannelException extends Exception {}

    /**
     * A method of the server failed; the message is the method's own.
     */
    class RpcException extends Exception {}

    /**
     * A key-value storage could not do what it was asked.
     */
    class KeyValueException extends Exception {}

    /**
     * A lock was not free in time, or there are too many.
     */
    class LockException extends Exception {}

    /**
     * A metric was refused: its type, labels, number or name do not fit.
     */
    class MetricsException extends Exception {}

    /**
     * A service could not be started, or there is none of the name.
     */
    class ServiceException extends Exception {}

    /**
     * The request has run for `exec_ttl`, or the script for `max_execution_time`: thrown wherever the script is, so that
     * `finally` runs. A script that goes on after it is ended with its worker.
     */
    class TimeoutError extends \Error {}
}

namespace {
    /**
     * In a script of `Server::script()`: waits for a request and runs the callback for it, which finds it in the
     * superglobals and prints the response. False when the script should end.
     */
    function rr_handle_request(callable $callback): bool {}

    /**
     * In the web modes: sends a 103 with these headers before the response. False: the response has begun, or nobody
     * reads it.
     *
     * @param array<string, string|list<string>> $headers
     */
    function rr_early_hints(array $headers): bool {}

    /**
     * In the web modes: has the server send a file as the body, with ranges, whatever the script prints. The header
     * `X-Sendfile` does the same.
     */
    function rr_send_file(string $path): bool {}

    /**
     * In the web modes: sends a server-sent event: a string, or an array of data, event, id, retry and comment. False:
     * the client has gone away.
     */
    function rr_send_event(mixed $event): bool {}

    /**
     * Sends the response while the script goes on; in the handler modes one that `write()` and `flush()` have begun.
     * `fastcgi_finish_request()` is the same in the web modes.
     */
    function rr_finish_request(): bool {}

    /**
     * With `http.app.frankenphp`: the name of `rr_handle_request()` in FrankenPHP's worker API.
     */
    function frankenphp_handle_request(callable $callback): bool {}

    /**
     * With `http.app.frankenphp`: the name of `rr_finish_request()`. False: the response was over before.
     */
    function frankenphp_finish_request(): bool {}

    /**
     * With `http.app.frankenphp`: sends the response's headers. A status from 102 to 199 is an interim response with the
     * headers so far, which stay for the final one. Returns 1 for an interim response that was sent, 0 for a final one,
     * and 3 if nothing was sent.
     */
    function headers_send(int $status = 200): int {}

    /**
     * With `http.app.frankenphp`: the name of `getallheaders()`.
     *
     * @return array<string, string>
     */
    function frankenphp_request_headers(): array {}

    /**
     * With `http.app.frankenphp`: the response's headers; of those that come twice the last. `apache_response_headers()`
     * is the same.
     *
     * @return array<string, string>
     */
    function frankenphp_response_headers(): array|bool {}

    /**
     * With `http.app.frankenphp`: writes to the server's log. Levels are those of `FRANKENPHP_LOG_LEVEL_*` (debug -4, info
     * 0, warn 4, error 8), and the context is in the line as JSON.
     *
     * @param array<string, mixed> $context
     */
    function frankenphp_log(string $message, int $level = 0, array $context = []): void {}

    /**
     * In development mode: writes values with file and line to the log, under the request they belong to, and never
     * into the response. Returns its argument, or all of them as a list.
     */
    function rr_dump(mixed ...$values): mixed {}
}
