--TEST--
Classes and methods with their signatures
--EXTENSIONS--
roadrunner
--FILE--
<?php
foreach (['Server', 'Request', 'Response', 'Worker', 'Rpc', 'KeyValue', 'Service'] as $name) {
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
final class Service
    static list(): array
    static restart(string $name): void
    static start(string $name, string $command, int $processes = 1, ?array $env = NULL, bool $restart = false, int $pause = 30, int $timeout = 0, int $grace = 5, bool $named = false): void
    static statuses(string $name): array
    static terminate(string $name): void
