//! An unmodified Symfony app as a server through `APP_RUNTIME`.

use e2e::compare::{Browser, Rules, differences, mask};
use e2e::{Client, Fpm, Options, Response, Server, skip};
use serde_json::{Value, json};
use std::path::Path;

const PHP: &str = "/usr/share/php/Symfony";
const RUNTIME: &str = "RoadRunner\\Psr\\SymfonyRuntime";

/// The app with Debian's Symfony; `None` where that is missing.
fn app(script: &str) -> Option<Options> {
    let template = Path::new(PHP).join("Component/Runtime/Internal/autoload_runtime.template");
    let (Ok(template), true) =
        (std::fs::read_to_string(&template), Path::new(PHP).join("Bundle/FrameworkBundle").exists())
    else {
        skip("Symfony is missing; run scripts/setup --test");
        return None;
    };
    // What Composer's plugin makes of it.
    let runtime = template
        .replace("%runtime_class%", "'Symfony\\\\Component\\\\Runtime\\\\SymfonyRuntime'")
        .replace("%runtime_options%", "['project_dir' => dirname(__DIR__, 1)]");
    let from = e2e::workspace().join("e2e/php/symfony");
    let read = |name: &str| std::fs::read_to_string(from.join(name)).expect("a file of the app");
    let mut options = Options::path(script)
        .file("vendor/autoload.php", &read("autoload.php"))
        .file("vendor/autoload_runtime.php", &runtime)
        .env("APP_RUNTIME", RUNTIME)
        .env("APP_ENV", "prod")
        .env("APP_DEBUG", "0");
    for name in ["public/index.php", "bin/task.php", "src/Kernel.php"] {
        options = options.file(name, &read(name));
    }
    Some(options)
}

fn start() -> Option<Server> {
    Some(app("public/index.php")?.env("NUM_WORKERS", "2").start())
}

fn send(client: &mut Client, method: &str, target: &str, headers: &str, body: &[u8]) -> Response {
    client.try_request(method, target, headers, body).expect("it is taken");
    client.read()
}

fn json(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|_| panic!("no JSON: {}", response.text()))
}

#[test]
fn requests_and_responses() {
    let Some(server) = start() else { return };
    let mut client = server.client();
    let response = client.get("/hello/World");
    assert_eq!((response.status, response.text().as_str()), (200, "Hello World"));
    assert_eq!(response.header("content-type"), Some("text/plain; charset=UTF-8"));
    server.logs.expect("terminated /hello/World");
    let headers = "Cookie: a=b\r\nUser-Agent: me\r\nAuthorization: Basic dTpw\r\n";
    let show = json(&send(&mut client, "GET", "/show?q[x]=1", headers, b""));
    let want = json!({
        "method": "GET", "uri": "http://test/show?q%5Bx%5D=1", "base": "", "query": {"q": {"x": "1"}},
        "cookies": {"a": "b"}, "ip": "127.0.0.1", "agent": "me", "type": null, "port": show["port"], "secure": false,
        "user": "u",
    });
    assert_eq!(show, want);
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        let form = json(&send(&mut client, method, "/form", kind, b"a=1&b[]=2"));
        assert_eq!(form, json!({"a": "1", "b": ["2"]}), "{method}");
    }
    let response = client.get("/cookies");
    let head = response.head.to_ascii_lowercase();
    assert!(head.contains("set-cookie: a=1;") && head.contains("set-cookie: b=2;"), "{head}");
    assert_eq!(client.get("/stream").text(), "piece 0\npiece 1\npiece 2\n");
    assert_eq!(client.get("/file").text(), server.read("src/Kernel.php"));
    let part = send(&mut client, "GET", "/file", "Range: bytes=0-4\r\n", b"");
    assert_eq!((part.status, part.text().as_str()), (206, "<?php"));
    let response = client.get("/go");
    assert_eq!((response.status, response.header("location")), (302, Some("/hello/there")));
    assert_eq!(client.get("/nope").status, 404);
    let response = client.get("/boom");
    assert_eq!(response.status, 500);
    assert!(!response.text().contains("secret words"));
    server.logs.expect("secret words");
    assert_eq!(client.get("/quit").text(), "");
    assert_eq!(client.get("/hello/again").text(), "Hello again");
    drop(client);
    assert_eq!(
        server.read("boots").lines().count(),
        1,
        "the kernel boots once, before the workers are forked"
    );
    server.stop();
}

/// The same project, as php-fpm runs it.
#[test]
fn answers_are_those_of_php_fpm() {
    let Some(server) = start() else { return };
    let prepend = server.file("prepend.php");
    let code = "<?php $_SERVER['APP_ENV'] = $_ENV['APP_ENV'] = 'prod'; $_SERVER['APP_DEBUG'] = $_ENV['APP_DEBUG'] = '0';";
    std::fs::write(&prepend, code).expect("a file");
    let ini = [format!("auto_prepend_file={}", prepend.display()), "expose_php=0".to_owned()];
    let fpm = Fpm::start(&server.file("public"), &ini.each_ref().map(String::as_str));
    let (mut here, mut there) = (Browser::new(server.addr()), Browser::new(fpm.addr()));
    let masks = [mask("\"port\":", ",")];
    let rules =
        Rules { masks: &masks, cookies: true, headers: &["etag", "last-modified", "expires"], body: false };
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let cases: [(u16, &str, &str, &str, &[u8]); 16] = [
        (200, "GET", "/hello/World", "", b""),
        (200, "GET", "/hello/%C3%BCber%20uns?x=1", "", b""),
        (200, "GET", "/show?q[x]=1&q[y][]=2&a.b=c", "Cookie: a=b; c[d]=e\r\nUser-Agent: me\r\n", b""),
        (200, "GET", "/show", "Authorization: Basic dTpw\r\n", b""),
        (200, "POST", "/form", form, b"a=1&b[]=2&b[]=3&c[d][e]=f"),
        (200, "PUT", "/form", form, b"a=1&b[]=2"),
        (200, "GET", "/cookies", "", b""),
        (200, "GET", "/stream", "", b""),
        (200, "GET", "/file", "", b""),
        (206, "GET", "/file", "Range: bytes=0-4\r\n", b""),
        (200, "HEAD", "/hello/World", "", b""),
        (200, "POST", "/raw", "Content-Type: application/octet-stream\r\n", b"abc"),
        (302, "GET", "/go", "", b""),
        (404, "GET", "/nope", "", b""),
        (404, "POST", "/nope", form, b"a=1"),
        (500, "GET", "/boom", "", b""),
    ];
    for (status, method, target, headers, body) in cases {
        let ours = here.send(method, target, headers, body);
        let theirs = there.send(method, target, headers, body);
        let found = differences(&ours, &theirs, &rules);
        assert!(found.is_empty() && ours.status == status, "{method} {target}: {}\n{found}", ours.status);
    }
    for _ in 0..3 {
        let (ours, theirs) = (here.get("/session"), there.get("/session"));
        let count = |response: &Response| response.text().split(' ').next().map(str::to_owned);
        let found = differences(&ours, &theirs, &Rules { body: true, ..rules });
        assert!(found.is_empty() && count(&ours) == count(&theirs), "{found}\n{}", ours.text());
    }
    fpm.stop();
    server.stop();
}

#[test]
fn raw_bodies_of_any_size() {
    let Some(server) = start() else { return };
    let mut client = server.client();
    let kind = "Content-Type: application/octet-stream\r\n";
    assert_eq!(
        send(&mut client, "POST", "/raw", kind, b"abc").text(),
        "3 900150983cd24fb0d6963f7d28e17f72 3"
    );
    let long = vec![b'x'; 5 << 20];
    let text = send(&mut client, "POST", "/raw", kind, &long).text();
    assert!(text.starts_with("5242880 ") && text.ends_with(" 5242880"), "{text}");
    drop(client);
    server.stop();
}

#[test]
fn a_session_belongs_to_its_cookie() {
    let Some(options) = app("public/index.php") else { return };
    let server = options.env("NUM_WORKERS", "1").start();
    let mut client = server.client();
    let first = client.get("/session");
    let cookie = first.header("set-cookie").expect("a cookie").split(';').next().expect("one").to_owned();
    assert!(first.text().starts_with("1 "), "{}", first.text());
    for count in 2..4 {
        let text = send(&mut client, "GET", "/session", &format!("Cookie: {cookie}\r\n"), b"").text();
        assert!(text.starts_with(&format!("{count} ")) && cookie.ends_with(&text[2..]), "{text}");
    }
    let other = client.get("/session");
    assert!(other.text().starts_with("1 ") && !cookie.ends_with(&other.text()[2..]), "{}", other.text());
    assert!(other.header("set-cookie").is_some());
    drop(client);
    server.stop();
}

#[test]
fn uploads_move() {
    let Some(server) = start() else { return };
    let probe =
        Options::handler("return new Response(method_exists($request, 'files') ? 'yes' : 'no');").start();
    let known = probe.text("/") == "yes";
    probe.stop();
    if known {
        let mut client = server.client();
        let body = "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n\
            --b\r\nContent-Disposition: form-data; name=\"files[one]\"; filename=\"n.txt\"\r\n\
            Content-Type: text/plain\r\n\r\ncontent\r\n--b--\r\n";
        let kind = "Content-Type: multipart/form-data; boundary=b\r\n";
        let got = json(&send(&mut client, "POST", "/upload", kind, body.as_bytes()));
        let want = json!({"name": "n.txt", "type": "text/plain", "valid": false, "text": "content", "fields": {"x": "1"}});
        assert_eq!(got["name"], want["name"]);
        assert_eq!(
            (&got["type"], &got["text"], &got["fields"]),
            (&want["type"], &want["text"], &want["fields"])
        );
        drop(client);
    } else {
        skip("this build has no Request::files()");
    }
    server.stop();
}

#[test]
fn settings_come_from_the_projects_file() {
    let Some(options) = app("public/index.php") else { return };
    let server = options.yaml("version: '3'\nhttp: {address: 127.0.0.1:0, pool: {num_workers: 3}}\n").start();
    assert_eq!(server.banner()["workers"], 3);
    assert_eq!(server.text("/hello/you"), "Hello you");
    server.stop();
}

#[test]
fn other_apps_run_as_ever() {
    let Some(options) = app("bin/task.php") else { return };
    let finished = options.arg("words").finish();
    assert_eq!((finished.code, finished.stdout.trim()), (Some(3), "task words"), "{}", finished.stderr);
}
