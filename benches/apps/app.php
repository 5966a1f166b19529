<?php
// The heavy application of the replace and pss parts: declares, runs nothing. What a large framework holds after
// boot, in shape: services that know each other, routes, a translation catalogue, cached rows. About 150 MB.
declare(strict_types=1);

final class HeavyService
{
    /** @var list<HeavyService> */
    public array $uses = [];

    /** @param array<string, mixed> $settings */
    public function __construct(public string $name, public array $settings)
    {
    }
}

final class HeavyApp
{
    private int $turn = 0;

    /**
     * @param list<HeavyService> $services
     * @param array<string, string> $catalogue
     * @param list<array<string, mixed>> $rows
     */
    public function __construct(private array $services, private array $catalogue, private array $rows)
    {
    }

    /** A request's worth of reading: touches reference counts and makes garbage, as an application does. */
    public function work(): int
    {
        $sum = 0;
        $seen = [];
        for ($i = 0; $i < 200; $i++) {
            $this->turn = ($this->turn * 1103515245 + 12345) & 0x7fffffff;
            $service = $this->services[$this->turn % count($this->services)];
            $row = $this->rows[$this->turn % count($this->rows)];
            $seen[] = [$service, $row['title'] . $i];
            $sum += strlen($this->catalogue['message.' . $this->turn % count($this->catalogue)]);
        }

        return $sum + count($seen);
    }
}

function build_app(): HeavyApp
{
    $services = $catalogue = $rows = [];
    for ($i = 0; $i < 60_000; $i++) {
        $services[] = $service = new HeavyService("service.$i", [
            'class' => "App\\Module$i\\Service", 'tags' => ["tag.$i", 'shared'], 'priority' => $i % 17,
        ]);
        for ($j = 1; $j <= 3 && $i > 3; $j++) {
            $service->uses[] = $services[intdiv($i, $j + 1)];
        }
    }
    for ($i = 0; $i < 150_000; $i++) {
        $catalogue["message.$i"] = "Message number $i for the reader, with words enough to be a sentence.";
    }
    for ($i = 0; $i < 90_000; $i++) {
        $rows[] = ['id' => $i, 'title' => "Row $i", 'score' => $i * 0.5, 'tags' => ["row.$i", 'cached'], 'parent' => null];
    }

    return new HeavyApp($services, $catalogue, $rows);
}
