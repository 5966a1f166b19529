--TEST--
Classes and methods with their signatures
--EXTENSIONS--
roadrunner
--FILE--
<?php
foreach (['Server', 'Request', 'Response', 'Worker', 'Rpc', 'KeyValue', 'Lock', 'Metrics', 'Counter', 'Gauge', 'Histogram', 'Summary', 'Log', 'LogChannel', 'Service', 'Cli'] as $name) {
    $class = new ReflectionClass("RoadRunner\\$name");
    echo $class->isFinal() ? 'final ' : '', "class $name\n";
    $lines = [];
    foreach ($class->getMethods() as $method) {
        if ($method->isConstructor() && $name !== 'Response') {
            // Made by the server only: new throws, see construct.phpt.
            continue;
        }
        $parameters = [];
        foreach ($method->getParameters() as $parameter) {
            $text = "{$parameter->getType()} \${$parameter->getName()}";
            if ($parameter->isOptional()) {
                $text .= ' = ' . ($parameter->isDefaultValueAvailable() ? var_export($parameter->getDefaultValue(), true) : '?');
            }
            $parameters[] = $text;
        }
        $line = $method->isStatic() ? 'static ' : '';
        $line .= $method->getName() . '(' . implode(', ', $parameters) . ')';
        $line .= $method->hasReturnType() ? ": {$method->getReturnType()}" : '';
        $lines[] = $line;
    }
    sort($lines);
    echo '    ', implode("\n    ", $lines), "\n";
}
?>
--EXPECT--
final class Server
    beforeFork(mixed $hook): RoadRunner\Server
    boot(mixed $boot): RoadRunner\Server
    files(mixed $address, string $root, string $mode = 'classic'): RoadRunner\Server
    globals(mixed $address, mixed $handler): RoadRunner\Server
    http(mixed $address, mixed $handler): RoadRunner\Server
    httpLoop(mixed $address, mixed $loop): RoadRunner\Server
    onWorkerStart(mixed $hook): RoadRunner\Server
    onWorkerStop(mixed $hook): RoadRunner\Server
    psr(mixed $address, mixed $handler = NULL, mixed $factories = NULL): RoadRunner\Server
    run(): int
    script(mixed $address, string $file): RoadRunner\Server
    set(string $path, mixed $value): RoadRunner\Server
    snapshot(mixed $address, mixed $handler): RoadRunner\Server
    static check(string $path = '.rr.yaml'): array
    static create(mixed $settings = NULL): RoadRunner\Server
    static fromFile(string $path = '.rr.yaml', ?array $overrides = NULL): RoadRunner\Server
    static reload(): void
    static stop(): void
    static workers(): string
final class Request
    body(): string
    cookies(): array
    files(): array
    form(): array
    header(string $name): ?string
    headers(): array
    host(): string
    isCancelled(): bool
    isSecure(): bool
    method(): string
    path(): string
    protocol(): string
    query(): array
    queryString(): string
    read(int $length = 65536): ?string
    remoteAddress(): string
    server(): array
    uri(): string
class Response
    __construct(mixed $body = NULL, int $status = 200, mixed $headers = NULL)
    body(): ?string
    earlyHints(mixed $headers): RoadRunner\Response
    end(): void
    flush(): RoadRunner\Response
    headers(): array
    sendFile(mixed $path): RoadRunner\Response
    setBody(mixed $body): RoadRunner\Response
    setHeader(string $name, mixed $value): RoadRunner\Response
    setStatus(int $status): RoadRunner\Response
    setTrailer(string $name, string $value): RoadRunner\Response
    static events(mixed $events, mixed $headers = NULL): RoadRunner\Response
    static file(mixed $path, mixed $headers = NULL): RoadRunner\Response
    status(): int
    write(mixed $piece): RoadRunner\Response
final class Worker
    fail(string $message): void
    receive(): ?RoadRunner\Request
    respond(mixed $response): void
final class Rpc
    static call(string $method, mixed $argument = NULL): mixed
final class KeyValue
    clear(): void
    compareAndSet(string $key, mixed $expected, mixed $value, ?float $ttl = NULL): bool
    delete(string $key): bool
    deleteMultiple(array $keys): int
    expire(string $key, ?float $ttl = NULL): bool
    get(string $key, mixed $default = NULL): mixed
    getMultiple(array $keys, mixed $default = NULL): mixed
    getOrCompute(string $key, mixed $compute, ?float $ttl = NULL, ?float $stale = NULL, float $timeout = 30.0): mixed
    has(string $key): bool
    increment(string $key, int $by = 1, ?float $ttl = NULL): int
    set(string $key, mixed $value, ?float $ttl = NULL): void
    setMultiple(array $values, ?float $ttl = NULL): void
    static open(string $name, string $serializer = 'auto'): RoadRunner\KeyValue
    ttl(string $key): ?float
final class Lock
    isHeld(): bool
    name(): string
    refresh(float $ttl = 0.0): bool
    release(): bool
    remaining(): float
    static acquire(string $name, float $ttl = 0.0, float $wait = 0.0, bool $shared = false): ?RoadRunner\Lock
    static exists(string $name): bool
    static forceRelease(string $name): bool
    static with(string $name, mixed $callback, float $ttl = 0.0, float $wait = 0.0, bool $shared = false): mixed
    token(): int
final class Metrics
    static counter(string $name, ?array $labels = NULL, ?string $help = NULL): RoadRunner\Counter
    static gauge(string $name, ?array $labels = NULL, ?string $help = NULL): RoadRunner\Gauge
    static histogram(string $name, ?array $labels = NULL, ?array $buckets = NULL, ?string $help = NULL): RoadRunner\Histogram
    static summary(string $name, ?array $labels = NULL, ?array $quantiles = NULL, ?string $help = NULL): RoadRunner\Summary
    static unregister(string $name): void
final class Counter
    inc(?float $by = NULL, ?array $labels = NULL): void
    with(array $labels): RoadRunner\Counter
final class Gauge
    dec(?float $by = NULL, ?array $labels = NULL): void
    inc(?float $by = NULL, ?array $labels = NULL): void
    set(float $value, ?array $labels = NULL): void
    with(array $labels): RoadRunner\Gauge
final class Histogram
    observe(float $value, ?array $labels = NULL): void
    with(array $labels): RoadRunner\Histogram
final class Summary
    observe(float $value, ?array $labels = NULL): void
    with(array $labels): RoadRunner\Summary
final class Log
    static alert(mixed $message, ?array $context = NULL): void
    static channel(string $name): RoadRunner\LogChannel
    static critical(mixed $message, ?array $context = NULL): void
    static debug(mixed $message, ?array $context = NULL): void
    static emergency(mixed $message, ?array $context = NULL): void
    static error(mixed $message, ?array $context = NULL): void
    static info(mixed $message, ?array $context = NULL): void
    static log(string $level, mixed $message, ?array $context = NULL): void
    static notice(mixed $message, ?array $context = NULL): void
    static warning(mixed $message, ?array $context = NULL): void
final class LogChannel
    alert(mixed $message, ?array $context = NULL): void
    critical(mixed $message, ?array $context = NULL): void
    debug(mixed $message, ?array $context = NULL): void
    emergency(mixed $message, ?array $context = NULL): void
    error(mixed $message, ?array $context = NULL): void
    info(mixed $message, ?array $context = NULL): void
    log(string $level, mixed $message, ?array $context = NULL): void
    notice(mixed $message, ?array $context = NULL): void
    warning(mixed $message, ?array $context = NULL): void
final class Service
    static list(): array
    static restart(string $name): void
    static start(string $name, string $command, int $processes = 1, ?array $env = NULL, bool $restart = false, int $pause = 30, int $timeout = 0, int $grace = 5, bool $named = false): void
    static statuses(string $name): array
    static terminate(string $name): void
final class Cli
    static main(array $arguments): int
