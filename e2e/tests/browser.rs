//! A page in a real browser: an upload with its progress, a login kept by a cookie, and a stream of events.

use e2e::{Options, certificates, environment_has, eventually, is_root, program, until};
use std::process::{Command, Stdio};
use std::time::Duration;

const INDEX: &str = r#"<?php
session_save_path(__DIR__ . '/../sessions');
session_start();
switch (strtok($_SERVER['REQUEST_URI'], '?')) {
    case '/upload':
        $file = $_FILES['file'];
        header('Content-Type: application/json');
        echo json_encode([$file['name'], $file['size'], sha1_file($file['tmp_name']), $_POST['note']]);
        return;
    case '/login':
        if (($_POST['user'] ?? '') === 'ann' && ($_POST['word'] ?? '') === 'secret') {
            session_regenerate_id(true);
            $_SESSION['user'] = $_POST['user'];
        }
        header('Location: /me', true, 303);
        return;
    case '/me':
        echo $_SESSION['user'] ?? 'nobody';
        return;
    case '/events':
        session_write_close();
        header('Content-Type: text/event-stream');
        header('Cache-Control: no-store');
        while (ob_get_level() > 0) {
            ob_end_flush();
        }
        $from = (int) ($_SERVER['HTTP_LAST_EVENT_ID'] ?? 0);
        for ($n = $from + 1; $n <= $from + 3; $n++) {
            echo "id: $n\nretry: 10\ndata: {\"n\": $n}\n\n";
            flush();
        }
        if ($from >= 3) {
            echo "event: end\ndata: over\n\n";
            flush();
        }
        return;
}
?>
<!doctype html>
<title>test</title>
<p id="upload">?</p><p id="progress">?</p><p id="login">?</p><p id="events">?</p><p id="error"></p>
<script src="/page.js"></script>
"#;

const SCRIPT: &str = r#"
const show = (id, text) => { document.getElementById(id).textContent = text; };
window.onerror = (text) => show('error', text);
window.onunhandledrejection = (event) => show('error', String(event.reason));

function upload() {
    return new Promise((resolve) => {
        const bytes = new Uint8Array(3 * 1024 * 1024).fill(97);
        const form = new FormData();
        form.append('note', 'ünd & so');
        form.append('file', new Blob([bytes], {type: 'text/plain'}), 'big "one".txt');
        const request = new XMLHttpRequest();
        let events = 0, last = null;
        request.upload.onprogress = (event) => { events++; last = event; };
        request.onload = () => {
            show('upload', request.status + ' ' + request.responseText);
            show('progress', events > 0 && last.lengthComputable && last.loaded === last.total ? 'complete' : 'incomplete');
            resolve();
        };
        request.open('POST', '/upload');
        request.send(form);
    });
}

async function login() {
    const before = await (await fetch('/me')).text();
    const answer = await fetch('/login', {method: 'POST', body: new URLSearchParams({user: 'ann', word: 'secret'})});
    const after = await (await fetch('/me')).text();
    show('login', [before, answer.redirected, await answer.text(), after, document.cookie === ''].join(' '));
}

function events() {
    return new Promise((resolve) => {
        const seen = [];
        const source = new EventSource('/events');
        source.onmessage = (event) => seen.push(JSON.parse(event.data).n + ':' + event.lastEventId);
        source.addEventListener('end', (event) => {
            source.close();
            show('events', seen.join(' ') + ' ' + event.data);
            resolve();
        });
    });
}

upload().then(login).then(events);
"#;

/// The page after its scripts have run.
fn dom(url: &str, more: &[String]) -> String {
    let profile = tempfile::TempDir::with_prefix("rr-browser-").expect("a temporary directory");
    let tag = format!("RR_E2E_BROWSER={}", profile.path().display());
    let mut command = Command::new(program(&["chromium", "chromium-browser", "google-chrome"]));
    command.args([
        "--headless",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        // Time stands still while a request is under way.
        "--virtual-time-budget=20000",
        "--dump-dom",
    ]);
    command.args(more);
    if is_root() {
        command.arg("--no-sandbox");
    }
    command.arg(format!("--user-data-dir={}", profile.path().display())).arg(url);
    command.env("RR_E2E_BROWSER", profile.path()).env("HOME", profile.path());
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the browser starts");
    let mut out = child.stdout.take().expect("stdout");
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = std::io::Read::read_to_end(&mut out, &mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let ended = until(Duration::from_secs(60), || child.try_wait().expect("wait"));
    if ended.is_none() {
        environment_has(&tag).iter().for_each(|process| process.signal(9));
        let _ = child.wait();
    }
    // Its helpers end after it.
    eventually("the browser's processes have ended", || environment_has(&tag).is_empty());
    let text = reader.join().unwrap_or_default();
    assert!(ended.is_some(), "the browser did not end: {text}");
    text
}

/// Whether all that the page does was done.
#[track_caller]
fn assert_complete(page: &str, what: &str) {
    let line = |id: &str| {
        let text = page.split_once(&format!("<p id=\"{id}\">")).map(|(_, rest)| rest);
        text.and_then(|rest| rest.split("</p>").next()).unwrap_or_default().to_owned()
    };
    assert_eq!(line("error"), "", "{what}: {page}");
    // The digest of 3 MiB of the letter a; browsers write quotes in names so.
    let wanted = format!("200 [\"big %22one%22.txt\",3145728,\"{SHA1}\",\"\\u00fcnd &amp; so\"]");
    assert_eq!(line("upload"), wanted, "{what}: {page}");
    assert_eq!(line("progress"), "complete", "{what}: {page}");
    assert_eq!(line("login"), "nobody true ann ann true", "{what}: {page}");
    // The stream ends after three; the browser asks again and says what it has had.
    assert_eq!(line("events"), "1:1 2:2 3:3 4:4 5:5 6:6 over", "{what}: {page}");
}

#[test]
fn a_page_uploads_logs_in_and_hears_events() {
    for mode in ["classic", "globals", "snapshot"] {
        let source = format!(
            "<?php RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 2]]])
                 ->files(getenv('HTTP_ADDRESS'), __DIR__ . '/public', '{mode}')->run();"
        );
        let options = Options::source(&source)
            .file("public/index.php", INDEX)
            .file("public/page.js", SCRIPT)
            .file("sessions/.keep", "")
            .ini("session.cookie_httponly=1")
            .ini("upload_max_filesize=8M")
            .ini("post_max_size=8M");
        let server = if mode == "snapshot" { options.descriptors_may_grow() } else { options }.start();
        let page = dom(&format!("http://{}/", server.addr()), &["--disable-quic".to_owned()]);
        assert_complete(&page, mode);
        server.stop();
    }
}

const SHA1: &str = "95fabf9f3f6a52aaadcf57e61a66fd56f893095b";

/// HS-01, HS-12: the same page over TLS, by HTTP/2 and, where the browser is told to, by HTTP/3.
#[test]
fn a_browser_speaks_http_2_and_3() {
    let dir = certificates();
    let source = format!(
        "<?php RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 2], 'http3' => ['address' => '127.0.0.1:0'],
                'ssl' => ['address' => '127.0.0.1:0', 'cert' => '{0}/server.crt', 'key' => '{0}/server.key']]])
             ->files(getenv('HTTP_ADDRESS'), __DIR__ . '/public', 'globals')->run();",
        dir.path().display()
    );
    let spoken =
        "echo '<p id=\"spoken\">', $_SERVER['SERVER_PROTOCOL'], ' ', $_SERVER['HTTPS'] ?? '', '</p>';";
    let index = INDEX.replacen("?>\n<!doctype html>", &format!("{spoken}\n?>\n<!doctype html>"), 1);
    let server = Options::source(&source)
        .file("public/index.php", &index)
        .file("public/page.js", SCRIPT)
        .file("sessions/.keep", "")
        .ini("session.cookie_httponly=1")
        .ini("upload_max_filesize=8M")
        .ini("post_max_size=8M")
        .descriptors_may_grow()
        .start();
    let shown = |what: &dyn Fn(&str) -> bool| {
        server.addrs().iter().find(|address| what(address)).expect("an address").clone()
    };
    let two = shown(&|address| address.starts_with("https://") && !address.ends_with(')'));
    let three = shown(&|address| address.ends_with(" (HTTP/3)")).replace(" (HTTP/3)", "");
    // The browser trusts this key and nobody's signature.
    let line = format!(
        "openssl x509 -in {}/server.crt -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64",
        dir.path().display()
    );
    let key = Command::new("sh").args(["-c", &line]).output().expect("openssl runs").stdout;
    let trust = format!("--ignore-certificate-errors-spki-list={}", String::from_utf8_lossy(&key).trim());
    for (url, more, spoken) in [
        (&two, "--disable-quic".to_owned(), "HTTP/2.0 on"),
        (&three, format!("--origin-to-force-quic-on={}", three.replace("https://", "")), "HTTP/3.0 on"),
    ] {
        let page = dom(&format!("{url}/"), &[trust.clone(), more]);
        assert!(page.contains(&format!("<p id=\"spoken\">{spoken}</p>")), "{page}");
        assert_complete(&page, spoken);
    }
    server.stop();
}
