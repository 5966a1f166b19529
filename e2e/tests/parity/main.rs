//! The same request bytes to this server and to php-fpm behind nginx, for the same files: the answers are the same, or
//! the difference is in a table with its reason.

mod known;
mod random;
mod requests;
mod uploads;

use e2e::compare::{self, Rules, ask, differences, mask};
use e2e::{Fpm, Options, Server};
use known::Known;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const MODES: [&str; 3] = ["classic", "globals", "snapshot"];

/// PHP settings that both sides have.
const SETTINGS: [&str; 8] = [
    "expose_php=0",
    "output_buffering=4096",
    "html_errors=1",
    "display_errors=0",
    "display_startup_errors=1",
    "error_reporting=-1",
    "log_errors=1",
    "date.timezone=UTC",
];

/// A request with a name.
struct Case {
    name: String,
    bytes: Vec<u8>,
}

impl Case {
    fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes }
    }

    fn get(target: &str) -> Self {
        Self::new(target, compare::request("GET", target, "", b""))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/parity").canonicalize().expect("the scripts")
}

fn serve(mode: &str, settings: &[&str]) -> Server {
    let source = "<?php RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1]]])
        ->files(getenv('HTTP_ADDRESS'), getenv('DOCROOT'), getenv('MODE'))->run();";
    let mut options = Options::source(source).env("DOCROOT", root()).env("MODE", mode);
    for setting in settings {
        options = options.ini(setting);
    }
    options = options.env("USER", "test").env("HOME", std::env::temp_dir()).expect_errors();
    if mode == "snapshot" { options.descriptors_may_grow().start() } else { options.start() }
}

/// Sends each case to both sides in all modes. What differs must be known, and what is known must differ.
#[track_caller]
fn compare_all(cases: &[Case], settings: &[&str], rules: &Rules<'_>, known: &[Known]) {
    let sessions = tempfile::TempDir::with_prefix("rr-sessions-").expect("a temporary directory");
    let path = format!("session.save_path={}", sessions.path().display());
    let mut all: Vec<&str> = SETTINGS.to_vec();
    all.push(&path);
    all.extend(settings);
    let fpm = Fpm::start(&root(), &all);
    let theirs: Vec<_> = cases.iter().map(|case| ask(fpm.addr(), &case.bytes)).collect();
    // By case and what was found, so that what is the same in all modes is said once.
    let mut report: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
    for mode in MODES {
        let server = serve(mode, &all);
        for (case, theirs) in cases.iter().zip(&theirs) {
            let ours = ask(server.addr(), &case.bytes);
            let found = differences(&ours, theirs, rules);
            let found = match (found.is_empty(), known.iter().any(|known| known.covers(&case.name, mode))) {
                (true, false) | (false, true) => continue,
                (true, true) => "listed as different, but the same\n".to_owned(),
                (false, false) => found,
            };
            report.entry((&case.name, found)).or_default().push(mode);
        }
        server.stop();
    }
    fpm.stop();
    let report: String = report
        .iter()
        .map(|((case, found), modes)| format!("{case} ({}):\n{found}\n", modes.join(", ")))
        .collect();
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn scripts_see_the_request_that_they_see_in_php_fpm() {
    compare_all(&requests::seen(), &[], &Rules::default(), known::SEEN);
}

#[test]
fn scripts_answer_as_they_do_in_php_fpm() {
    let rules = Rules { masks: &[mask("expires=", ";"), mask("Max-Age=", ";")], ..Rules::default() };
    compare_all(&requests::answers(), &[], &rules, known::ANSWERS);
}

#[test]
fn scripts_answer_as_they_do_in_php_fpm_without_a_buffer() {
    compare_all(&requests::ends(), &["output_buffering=0"], &Rules::default(), known::UNBUFFERED);
}

#[test]
fn errors_are_shown_as_in_php_fpm() {
    compare_all(&requests::ends(), &["display_errors=1"], &Rules::default(), known::SHOWN);
}

#[test]
fn limits_of_php_hold_as_in_php_fpm() {
    let settings = [
        "post_max_size=20000",
        "upload_max_filesize=5000",
        "max_file_uploads=3",
        "max_input_vars=20",
        "display_errors=1",
    ];
    compare_all(&requests::limits(), &settings, &Rules::default(), known::LIMITS);
}

#[test]
fn random_forms_queries_and_cookies_are_read_as_in_php_fpm() {
    let settings = ["max_input_vars=12", "max_input_nesting_level=4", "display_errors=1"];
    compare_all(&random::cases(400), &settings, &Rules::default(), &[]);
}

#[test]
fn the_environment_is_that_of_php_fpm() {
    let cases = [Case::new(
        "env",
        compare::request("GET", "/env.php?a=1", "X-One: 1\r\nProxy: evil\r\nContent-Type: text/x\r\n", b""),
    )];
    compare_all(&cases, &["variables_order=EGPCS"], &Rules::default(), known::ENVIRONMENT);
}

#[test]
fn arguments_are_those_of_php_fpm() {
    let cases = ["/dump.php", "/dump.php?a+b+c=d", "/dump.php?a=1&b=2", "/dump.php?+a"].map(Case::get);
    compare_all(&cases, &["register_argc_argv=1", "auto_globals_jit=0"], &Rules::default(), &[]);
}

#[test]
fn separators_are_those_of_the_settings() {
    let cases = ["/dump.php?a=1;b=2&c=3", "/output.php?do=rewrite"].map(Case::get);
    compare_all(&cases, &["arg_separator.input=;&", "arg_separator.output=;"], &Rules::default(), &[]);
}

#[test]
fn files_before_and_after_are_run_as_in_php_fpm() {
    let (before, after) = (root().join("before.inc"), root().join("after.inc"));
    let settings =
        [format!("auto_prepend_file={}", before.display()), format!("auto_append_file={}", after.display())];
    let settings = settings.each_ref().map(String::as_str);
    let targets = [
        "/",
        "/sub/",
        "/output.php?do=exit",
        "/output.php?do=exception",
        "/output.php?do=shutdown",
        "/output.php?do=handler",
        "/output.php?do=handlerplain",
        "/output.php?do=handlerexit",
        "/output.php?do=parse",
        "/headers.php",
        "/broken.php",
        "/?before=exit",
        "/?before=throw",
        "/?before=handled",
        "/?before=folder",
        "/?before=headers",
        "/broken.php?before=handler",
    ];
    compare_all(&targets.map(Case::get), &settings, &Rules::default(), known::AROUND);
    let path = format!("include_path=.:{}", root().display());
    let settings = [&*path, "auto_prepend_file=before.inc", "auto_append_file=after.inc"];
    compare_all(&["/", "/?before=exit", "/headers.php"].map(Case::get), &settings, &Rules::default(), &[]);
}

#[test]
fn output_is_packed_as_in_php_fpm() {
    for (setting, known) in
        [("zlib.output_compression=1", known::PACKED), ("output_handler=ob_gzhandler", known::HANDLED)]
    {
        let whats = ["large", "empty", "flush", "shutdown", "exit", "exception", "level", "gz", "204"];
        let mut cases = Vec::new();
        for takes in ["gzip", "deflate", "identity", "br, gzip;q=0.5"] {
            cases.extend(whats.map(|what| {
                let script = if what == "204" { "headers" } else { "output" };
                let target = format!("/{script}.php?do={what}");
                let headers = format!("Accept-Encoding: {takes}\r\n");
                Case::new(format!("{what}, {takes}"), compare::request("GET", &target, &headers, b""))
            }));
        }
        compare_all(&cases, &["output_buffering=0", setting], &Rules::default(), known);
    }
}

#[test]
fn the_progress_of_an_upload_is_in_the_session() {
    let sessions = tempfile::TempDir::with_prefix("rr-sessions-").expect("a temporary directory");
    let path = format!("session.save_path={}", sessions.path().display());
    let all =
        [&SETTINGS[..], &[&*path, "session.upload_progress.enabled=1", "session.upload_progress.cleanup=0"]]
            .concat();
    let fpm = Fpm::start(&root(), &all);
    let body = b"--edge\r\nContent-Disposition: form-data; name=\"PHP_SESSION_UPLOAD_PROGRESS\"\r\n\r\nup\r\n\
        --edge\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f.txt\"\r\n\r\ncontent\r\n--edge--\r\n";
    let kind = "Content-Type: multipart/form-data; boundary=edge\r\n";
    let rules = Rules { cookies: true, headers: &["expires"], ..Rules::default() };
    for mode in MODES {
        let server = serve(mode, &all);
        let (mut here, mut there) = (compare::Browser::new(server.addr()), compare::Browser::new(fpm.addr()));
        let mut found = String::new();
        let mut last = String::new();
        for (method, headers, body) in [("GET", "", &b""[..]), ("POST", kind, body), ("GET", "", b"")] {
            let ours = here.send(method, "/progress.php", headers, body);
            let theirs = there.send(method, "/progress.php", headers, body);
            found.push_str(&differences(&ours, &theirs, &rules));
            last = theirs.text();
        }
        assert!(last.contains("\"done\":true"), "{mode}: {last}");
        assert!(found.is_empty(), "{mode}: {found}");
        server.stop();
    }
    fpm.stop();
}

#[test]
fn files_are_sent_as_nginx_does() {
    let rules = Rules {
        headers: &["etag", "content-type", "accept-ranges"],
        masks: &[mask("\r\n--", "\r\n"), mask("Content-Type: text/css", "\r\n")],
        ..Rules::default()
    };
    compare_all(&requests::files(), &[], &rules, known::FILES);
}

#[test]
fn uploads_are_read_as_in_php_fpm() {
    compare_all(&uploads::cases(), &["display_errors=1"], &Rules::default(), known::UPLOADS);
}

#[test]
fn uploads_that_are_switched_off_are_read_as_in_php_fpm() {
    compare_all(
        &uploads::cases(),
        &["file_uploads=0", "display_errors=1"],
        &Rules::default(),
        known::UPLOADS_OFF,
    );
}

#[test]
fn forms_that_php_shall_not_read_are_left_alone() {
    compare_all(&uploads::cases(), &["enable_post_data_reading=0"], &Rules::default(), known::UPLOADS_LEFT);
}

#[test]
fn sessions_go_on_as_in_php_fpm() {
    let sessions = tempfile::TempDir::with_prefix("rr-sessions-").expect("a temporary directory");
    let path = format!("session.save_path={}", sessions.path().display());
    let mut all: Vec<&str> = SETTINGS.to_vec();
    all.push(&path);
    let targets = [
        "/session.php",
        "/session.php?do=name",
        "/session.php?limiter=public",
        "/session.php?limiter=private_no_expire",
        "/session.php?limiter=private",
        "/session.php?limiter=",
        "/session.php?do=regenerate",
        "/session.php",
        "/session.php?do=abort",
        "/session.php?do=exit",
        "/session.php?do=fatal",
        "/session.php?do=destroy",
        "/session.php?options=1",
        "/session.php",
    ];
    let fpm = Fpm::start(&root(), &all);
    let rules = Rules {
        cookies: true,
        // Of the script's own change; the second may be another one.
        masks: &[mask("in <b>", "</b>")],
        headers: &["expires"],
        ..Rules::default()
    };
    for mode in MODES {
        let server = serve(mode, &all);
        let (mut here, mut there) = (compare::Browser::new(server.addr()), compare::Browser::new(fpm.addr()));
        for target in targets {
            let found = differences(&here.get(target), &there.get(target), &rules);
            assert!(found.is_empty(), "{mode} {target}:\n{found}");
        }
        server.stop();
    }
    fpm.stop();
}
