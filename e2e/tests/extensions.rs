//! Debuggers and their like, which change how PHP runs code: Xdebug and pcov, loaded for these servers only.

use e2e::{Options, Server};

const MODES: [&str; 4] = ["handler", "globals", "classic", "snapshot"];

/// A server whose page is `code`, which echoes; in handler mode what it has echoed is the response.
fn start(mode: &str, code: &str, settings: &[&str]) -> Server {
    let mut options = if mode == "handler" {
        let body = format!(
            "ob_start(); try {{ {code} }} finally {{ $text = ob_get_clean(); }} return new Response($text);"
        );
        Options::handler(&body.replace("$_GET['do'] ?? ''", "$request->query()['do'] ?? ''"))
    } else {
        let source = format!(
            "<?php RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1]]])
                 ->files(getenv('HTTP_ADDRESS'), __DIR__ . '/public', '{mode}')->run();"
        );
        Options::source(&source).file("public/index.php", &format!("<?php {code}"))
    };
    options = options.file("public/lib.php", LIB).file("lib.php", LIB);
    for setting in settings {
        options = options.ini(setting);
    }
    let options = options.env("XDEBUG_MODE", "").expect_errors();
    if mode == "snapshot" { options.descriptors_may_grow().start() } else { options.start() }
}

/// What coverage is told of: line 3 runs, line 5 does not.
const LIB: &str = "<?php\nreturn static function (bool $no) {\n    $made = 1;\n    if ($no) {\n        $made = 2;\n    }\n    return $made;\n};\n";

#[track_caller]
fn serves(mode: &str, server: &Server) {
    for _ in 0..3 {
        assert_eq!(server.text("/"), "fine", "{mode}");
        assert_eq!(server.get("/?do=throw").status, 500, "{mode}");
        assert_eq!(server.text("/?do=deep"), "55", "{mode}");
    }
}

const PAGE: &str = "switch ($_GET['do'] ?? '') {
    case 'throw': throw new LogicException('thrown');
    case 'deep': $sum = static function (int $n) use (&$sum) { return $n === 0 ? 0 : $n + $sum($n - 1); }; echo $sum(10); break;
    case 'cover': COVER break;
    default: echo 'fine';
}";

#[test]
fn pcov_counts_lines() {
    let cover = "\\pcov\\start(); $f = require __DIR__ . '/lib.php'; $f(false); \\pcov\\stop();
        $lines = \\pcov\\collect(\\pcov\\inclusive, [__DIR__ . '/lib.php'])[__DIR__ . '/lib.php'] ?? [];
        \\pcov\\clear(); echo json_encode([$lines[3] ?? null, $lines[5] ?? null]);";
    for mode in MODES {
        let server = start(
            mode,
            &PAGE.replace("COVER", cover),
            &["extension=pcov.so", "pcov.enabled=1", "pcov.directory=/"],
        );
        serves(mode, &server);
        assert_eq!(server.text("/?do=cover"), "[1,-1]", "{mode}");
        serves(mode, &server);
        server.stop();
    }
}

#[test]
fn xdebug_counts_lines() {
    let cover = "xdebug_start_code_coverage(XDEBUG_CC_UNUSED); $f = require __DIR__ . '/lib.php'; $f(false);
        $lines = xdebug_get_code_coverage()[__DIR__ . '/lib.php'] ?? []; xdebug_stop_code_coverage();
        echo json_encode([$lines[3] ?? null, $lines[5] ?? null]);";
    for mode in MODES {
        let server =
            start(mode, &PAGE.replace("COVER", cover), &["zend_extension=xdebug.so", "xdebug.mode=coverage"]);
        serves(mode, &server);
        assert_eq!(server.text("/?do=cover"), "[1,-1]", "{mode}");
        serves(mode, &server);
        server.stop();
    }
}

#[test]
fn xdebug_shows_and_traces() {
    let cover = "ob_start(); xdebug_info(); $info = ob_get_clean(); echo str_contains($info, 'Xdebug') && in_array('develop', xdebug_info('mode'), true) ? 'info' : $info;
        echo ' ', (static fn () => count(xdebug_get_function_stack()) > 0)() ? 'stack' : 'no stack';";
    for mode in MODES {
        // Without a client of the debugger, which is what a developer has most of the time.
        let server = start(
            mode,
            &PAGE.replace("COVER", cover),
            &["zend_extension=xdebug.so", "xdebug.mode=develop,debug", "xdebug.start_with_request=trigger"],
        );
        serves(mode, &server);
        assert_eq!(server.text("/?do=cover"), "info stack", "{mode}");
        serves(mode, &server);
        server.stop();
    }
}
