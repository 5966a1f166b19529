//! Forms with files: received by the server, in files while the request runs (HTTP-08, HTTP-10, HTTP-11).

use e2e::{Options, Server, eventually};
use std::fmt::Write as _;

const HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=edge\r\n";

fn part(head: &str, content: &str) -> String {
    format!("--edge\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
}

fn post(server: &Server, body: &str) -> e2e::Response {
    let end = if body.contains("--edge\r\nC") { "--edge--\r\n" } else { "" };
    let mut client = server.client();
    client.send(format!("{HEAD}Content-Length: {}\r\n\r\n{body}{end}", body.len() + end.len()));
    client.read()
}

const ECHO: &str = "
    return json_encode([$request->form(), $request->files(), $request->body(), $request->read()]);";

#[test]
fn a_handler_gets_fields_and_files() {
    let server = Options::handler(
        "$file = $request->files()['f']['x'][0] ?? null;
         if ($request->query()['move'] ?? false) {
             return json_encode([is_uploaded_file($file['tmp_name']), move_uploaded_file($file['tmp_name'], __DIR__ . '/moved')]);
         }
         return json_encode([$request->form(), $file, file_get_contents($file['tmp_name']), $request->body(), $request->read()]);",
    )
    .start();
    let body = part("name=\"a[b]\"", "1")
        + &part("name=\"f[x][]\"; filename=\"dir/one.txt\"\r\nContent-Type: text/plain", "content");
    let answer: serde_json::Value = serde_json::from_str(&post(&server, &body).text()).expect("JSON");
    assert_eq!(answer[0], serde_json::json!({"a": {"b": "1"}}));
    for (key, value) in [("name", "one.txt"), ("full_path", "dir/one.txt"), ("type", "text/plain")] {
        assert_eq!(answer[1][key], value);
    }
    assert_eq!((answer[1]["error"].as_i64(), answer[1]["size"].as_i64()), (Some(0), Some(7)));
    assert_eq!(
        (&answer[2], &answer[3], &answer[4]),
        (&"content".into(), &"".into(), &serde_json::Value::Null)
    );
    let path = answer[1]["tmp_name"].as_str().expect("a path").to_owned();
    eventually("the file is removed", || !std::path::Path::new(&path).exists());
    let mut client = server.client();
    let head = HEAD.replace("POST /", "POST /?move=1");
    client.send(format!("{head}Content-Length: {}\r\n\r\n{body}--edge--", body.len() + 8));
    assert_eq!(client.read().text(), "[true,true]");
    assert_eq!(server.read("moved"), "content");
    drop(client);
    server.stop();
}

#[test]
fn a_form_in_chunks_is_a_form() {
    let server =
        Options::handler("return json_encode($request->form()) . $request->header('content-length');")
            .start();
    let body = part("name=a", "1") + "--edge--";
    let mut client = server.client();
    client.send(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n"));
    for piece in body.as_bytes().chunks(7) {
        client.send(format!("{:x}\r\n", piece.len()));
        client.send(piece);
        client.send("\r\n");
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.read().text(), format!("{{\"a\":\"1\"}}{}", body.len()));
    drop(client);
    server.stop();
}

#[test]
fn a_slow_upload_holds_no_worker() {
    let server = Options::handler("return (string) count($request->files());").start();
    let body = part("name=f; filename=f", &"x".repeat(600_000)) + "--edge--";
    let mut slow = server.client();
    slow.send(format!("{HEAD}Content-Length: {}\r\n\r\n", body.len()));
    slow.send(&body.as_bytes()[..500_000]);
    // The only worker is free for others.
    assert_eq!(server.text("/"), "0");
    slow.send(&body.as_bytes()[500_000..]);
    assert_eq!(slow.read().text(), "1");
    drop(slow);
    server.stop();
}

#[test]
fn a_client_that_goes_away_leaves_no_file() {
    let server = Options::handler("return 'fine';")
        .set("http.uploads.dir", "__DIR__ . '/up'")
        .file("up/.keep", "")
        .start();
    let mut client = server.client();
    client.send(format!("{HEAD}Content-Length: 10000000\r\n\r\n"));
    client.send(part("name=f; filename=f", &"x".repeat(1_000_000)));
    let up = server.file("up");
    let entries = || std::fs::read_dir(&up).map_or(0, Iterator::count);
    eventually("the file is being written", || entries() == 2);
    drop(client);
    eventually("it is removed", || entries() == 1);
    assert_eq!(server.text("/"), "fine");
    server.stop();
}

#[test]
fn a_form_over_a_limit_is_refused_whole() {
    let server = Options::handler(ECHO)
        .set("http.uploads.max_files", "2")
        .set("http.uploads.max_fields", "3")
        .set("http.uploads.max_field_size", "'1KB'")
        .set("http.max_request_size", "'1MB'")
        .start();
    for (body, text) in [
        (part("name=f; filename=f", "1").repeat(3), "http.uploads.max_files"),
        (part("name=f", "1").repeat(4), "http.uploads.max_fields"),
        (part("name=f", &"x".repeat(2000)), "http.uploads.max_field_size"),
        (part("name=f; filename=f", &"x".repeat(2 << 20)), "http.max_request_size"),
    ] {
        let mut client = server.client();
        client.send(format!("{HEAD}Content-Length: {}\r\n\r\n", body.len()));
        // The server may refuse before it has all.
        let _ = client.try_send(body.as_bytes());
        let answer = client.read();
        assert_eq!(answer.status, 413, "{text}");
        assert!(answer.text().contains(text), "{text}: {}", answer.text());
    }
    server.stop();
}

#[test]
fn extensions_are_forbidden_or_allowed() {
    for (key, list, errors) in [("forbid", "['.php', 'EXE']", "8,8,0,0"), ("allow", "['txt']", "8,8,0,8")] {
        let server = Options::handler("return implode(',', array_column($request->files(), 'error'));")
            .set(&format!("http.uploads.{key}"), list)
            .start();
        let mut body = String::new();
        for (index, name) in ["a.PHP", "x.txt.exe", "c.txt", "none"].iter().enumerate() {
            let _ = write!(body, "{}", part(&format!("name=f{index}; filename=\"{name}\""), "x"));
        }
        assert_eq!(post(&server, &body).text(), errors, "{key}");
        server.stop();
    }
}

#[test]
fn a_full_disk_is_an_error_of_the_file_and_of_nothing_else() {
    let server = Options::handler("return implode(',', array_column($request->files(), 'error')) . json_encode($request->form());")
        .set("http.uploads.dir", "__DIR__ . '/full'")
        .file("full/.keep", "")
        .wrap(&["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=512k none \"$(dirname \"$(ls -d /tmp/rr-e2e-*/full | tail -1)\")/full\" && exec \"$@\"", "sh"])
        .expect_errors()
        .start();
    let body = part("name=f; filename=f", &"x".repeat(2 << 20))
        + &part("name=g; filename=g", "small")
        + &part("name=a", "1");
    assert_eq!(post(&server, &body).text(), "7,0{\"a\":\"1\"}");
    assert_eq!(post(&server, &part("name=g; filename=g", "small")).text(), "0[]");
    server.stop();
}

#[test]
fn what_a_killed_server_has_left_is_removed_by_the_next() {
    let dir = tempfile::tempdir().expect("a folder");
    let left = dir.path().join("roadrunner-abc");
    std::fs::create_dir(&left).expect("a folder");
    std::fs::write(left.join(".lock"), "").expect("a file");
    std::fs::write(left.join("upload1"), "x").expect("a file");
    let other = dir.path().join("roadrunner-theirs");
    std::fs::create_dir(&other).expect("a folder");
    let server = Options::handler("return 'fine';")
        .set("http.uploads.dir", &format!("'{}'", dir.path().display()))
        .start();
    assert_eq!(server.text("/"), "fine");
    assert!(!left.exists() && other.exists());
    server.stop();
}

#[test]
fn garbage_is_no_form_and_no_harm() {
    let server = Options::handler(ECHO).start();
    for body in [
        "",
        "--edge",
        "--edge\r\n\r\n",
        "no boundary at all",
        "--edge\r\nContent-Disposition: form-data; name=\"a\0b\"\r\n\r\nx",
        "--edge--",
    ] {
        let answer = post(&server, body);
        assert_eq!(answer.status, 200, "{body:?}");
    }
    let many: String = (0..9000).fold(String::new(), |all, n| all + &part(&format!("name=n{n}"), ""));
    // PHP's max_input_vars.
    let answer: serde_json::Value = serde_json::from_str(&post(&server, &many).text()).expect("JSON");
    assert_eq!(answer[0].as_object().map(serde_json::Map::len), Some(1000));
    for (depth, status) in [(1000, 200), (10_000, 413)] {
        let deep = format!("name=\"a{}\"", "[x]".repeat(depth));
        assert_eq!(post(&server, &part(&deep, "1")).status, status, "{depth}");
    }
    server.stop();
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A multipart body of these parts: headers and content.
fn multipart(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, content) in parts {
        body.extend_from_slice(
            format!("--edge\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--edge--\r\n");
    body
}

fn upload(server: &Server, target: &str, body: &[u8]) -> e2e::Response {
    let mut client = server.client();
    client.send(format!(
        "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=edge\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    client.send(body);
    client.read()
}

/// HTTP-08, HTTP-11.
#[test]
fn uploads_are_files_and_fields_are_what_php_makes_of_them() {
    let large = vec![b'x'; 1 << 20];
    let body = multipart(&[
        ("name=\"a[b][]\"", b"1"),
        ("name=\"a[b][]\"", b"2"),
        ("name=\"one\"; filename=\"C:\\\\dir\\\\one.txt\"\r\nContent-Type: text/plain", b"hello"),
        ("name=\"many[x]\"; filename=\"dir/two.bin\"", &large),
        ("name=\"many[y]\"; filename=\"\"", b""),
    ]);
    for mode in ["globals", "classic", "snapshot"] {
        let server = Options::example(mode).start();
        for _ in 0..2 {
            let answer = json(&upload(&server, "/", &body).text());
            assert_eq!(answer["post"], json(r#"{"a": {"b": ["1", "2"]}}"#), "{mode}");
            let files = &answer["files"];
            assert_eq!(files["one"]["size"], 5, "{mode}: {files}");
            assert_eq!(files["one"]["type"], "text/plain", "{mode}");
            assert_eq!(files["one"]["name"], "one.txt", "{mode}");
            assert_eq!(files["one"]["sha1"], "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d", "{mode}");
            assert_eq!(files["many[x]"]["size"], 1 << 20, "{mode}");
            assert_eq!(files["many[x]"]["name"], "two.bin", "{mode}");
            assert_eq!(files["many[x]"]["error"], 0, "{mode}");
            assert_eq!(files["many[y]"]["error"], 4, "{mode}");
        }
        assert_eq!(json(&server.text("/"))["files"], json("[]"), "{mode}: nothing is left");
        server.stop();
    }
}

/// HTTP-11.
#[test]
fn uploaded_files_are_gone_after_the_request() {
    let index = "<?php if (isset($_GET['list'])) { echo count(glob(__DIR__ . '/../uploads/*/*')); return; }
        $tmp = $_FILES['f']['tmp_name']; echo dirname($tmp, 2) === realpath(__DIR__ . '/../uploads') ? 'in place ' : $tmp;
        if (isset($_GET['move'])) { echo move_uploaded_file($tmp, __DIR__ . '/../moved') ? 'moved' : 'stayed'; return; }
        echo 'left'; if (isset($_GET['fatal'])) { undefined(); } if (isset($_GET['kill'])) { posix_kill(getmypid(), SIGKILL); }";
    let source = "<?php RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1], 'uploads' => ['dir' => __DIR__ . '/uploads']]])
        ->files(getenv('HTTP_ADDRESS'), __DIR__ . '/public', getenv('MODE'))->run();";
    let body = multipart(&[("name=\"f\"; filename=\"f.txt\"", b"content")]);
    for mode in ["globals", "classic", "snapshot"] {
        let options = Options::source(source)
            .env("MODE", mode)
            .file("public/index.php", index)
            .file("uploads/.keep", "");
        let server = options.in_mode(mode).expect_errors().start();
        assert_eq!(upload(&server, "/", &body).text(), "in place left", "{mode}");
        assert_eq!(upload(&server, "/?move=1", &body).text(), "in place moved", "{mode}");
        assert_eq!(server.read("moved"), "content", "{mode}");
        assert_eq!(upload(&server, "/?fatal=1", &body).status, 500, "{mode}");
        assert_eq!(upload(&server, "/?kill=1", &body).status, 502, "{mode}");
        eventually("no file is left", || server.text("/?list=1") == "0");
        let folder = server.file("uploads");
        eventually("nor is a folder", || std::fs::read_dir(&folder).is_ok_and(|all| all.count() == 1));
        server.stop();
    }
}
