//! The dialects of command workers (rows HTTP-01, 02, 04, 12, 13, 14, 15, FR-12, FR-14) with a worker that speaks protobuf itself, over every
//! relay.

use e2e::{Client, Options, Server, free_port, php, workspace};
use serde_json::{Value, json};

const WAYS: [&str; 4] = ["fork", "pipes", "tcp", "unix"];

fn start(way: &str, more: &str, insist: &str) -> Server {
    let relay = match way {
        "fork" => "pipes\n  fork: true".to_owned(),
        "pipes" => "pipes\n  fork: false".to_owned(),
        "tcp" => format!("tcp://127.0.0.1:{}", free_port()),
        _ => "unix://relay.sock".to_owned(),
    };
    let worker = workspace().join("e2e/php/roadrunner/protobuf.php");
    let yaml = format!(
        "version: '3'\nserver:\n  command: ['{}', '{}']\n  relay: {relay}\nhttp:\n  address: ${{HTTP_ADDRESS}}\n  pool:\n    \
         num_workers: 1\n{more}",
        php().display(),
        worker.display()
    );
    let options = Options::source("<?php RoadRunner\\Server::fromFile('.rr.yaml')->run();");
    options.file(".rr.yaml", &yaml).env("INSIST", insist).descriptors_may_grow().start()
}

fn ask(server: &Server, head: &str, body: &str) -> (String, Value) {
    let mut client = server.client();
    client.send(format!("{head}\r\nHost: app.test\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    let response = client.read();
    assert_eq!(response.status, 200, "{}", response.text());
    // HeaderValue has several values.
    assert_eq!(response.head.to_lowercase().matches("x-two: ").count(), 2, "{}", response.head);
    (response.head, serde_json::from_slice(&response.body).expect("JSON"))
}

#[test]
fn http_01_a_request_in_protobuf_says_what_one_in_json_does() {
    let asked = "POST /a%20b?c=d&e HTTP/1.1\r\nX-Many: 1\r\nX-Many: 2\r\nCookie: a=b%20c; d=e\r\nContent-Type: \
                 application/x-www-form-urlencoded";
    for way in WAYS {
        let mut said = Vec::new();
        for codec in ["protobuf", "json"] {
            let server = start(way, &format!("  codec: {codec}"), "");
            let (_, answer) = ask(&server, asked, "x[y]=1&x[z]=2");
            assert_eq!(answer["codec"], if codec == "protobuf" { 0x80 } else { 0x08 }, "{way}");
            said.push(answer);
            server.stop();
        }
        let [protobuf, json] = &said[..] else { panic!("two answers") };
        assert_eq!(protobuf["body"], json["body"], "{way}");
        let (protobuf, json) = (&protobuf["request"], &json["request"]);
        for key in ["remoteAddr", "protocol", "method", "uri", "rawQuery", "headers"] {
            assert_eq!(protobuf[key], json[key], "{way} {key}");
        }
        assert_eq!(protobuf["headers"]["X-Many"], json!(["1", "2"]));
        // HTTP-12: nothing here sets any.
        assert!(protobuf.get("attributes").is_none() && json["attributes"] == json!([]), "{json}");
        assert_eq!((&protobuf["parsed"], &json["parsed"]), (&json!(1), &json!(true)));
        assert_eq!(protobuf["cookies"], json!({"a": ["b c"], "d": ["e"]}));
        assert_eq!(json["cookies"], json!({"a": "b c", "d": "e"}));
    }
}

#[test]
fn http_01_uploads_are_json_in_protobuf() {
    let server = start("pipes", "  codec: protobuf", "");
    let body =
        "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\nhello\r\n--x--\r\n";
    let (_, answer) = ask(&server, "POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x", body);
    assert_eq!(answer["request"]["uploads"]["f"]["name"], "a.txt");
    assert_eq!(answer["request"]["uploads"]["f"]["size"], 5);
    server.stop();
}

#[test]
fn http_04_a_worker_that_insists_on_protobuf_gets_it_from_then_on() {
    for way in WAYS {
        let server = start(way, "", "1");
        let codecs: Vec<Value> =
            (0..3).map(|_| ask(&server, "GET / HTTP/1.1", "").1["codec"].clone()).collect();
        assert_eq!(codecs, [0x08, 0x80, 0x80], "{way}");
        server.stop();
        // One that does not goes on with JSON, and one that is told so for ever.
        for (more, insist) in [("", ""), ("  codec: json", "1")] {
            let server = start(way, more, insist);
            let codecs: Vec<Value> =
                (0..3).map(|_| ask(&server, "GET / HTTP/1.1", "").1["codec"].clone()).collect();
            assert_eq!(codecs, [0x08, 0x08, 0x08], "{way} {more} {insist}");
            server.stop();
        }
    }
}

#[test]
fn http_13_to_15_hints_trailers_and_pieces_of_command_workers() {
    for way in WAYS {
        for codec in ["json", "protobuf"] {
            let server = start(way, &format!("  codec: {codec}"), "");
            let mut client = server.client();
            for _ in 0..2 {
                client.send("GET /?do=early HTTP/1.1\r\nHost: a\r\n\r\n");
                let hints = client.read();
                assert_eq!(
                    (hints.status, hints.header("link")),
                    (103, Some("</a.css>; rel=preload")),
                    "{way} {codec}"
                );
                let last = client.read();
                assert_eq!(last.status, 418, "{way} {codec}: the final status is not lost");
                assert_eq!(last.header("link"), None);
            }
            // A client of HTTP/1.0 knows none.
            let mut old = Client::connect(server.addr());
            old.send("GET /?do=early HTTP/1.0\r\nHost: a\r\n\r\n");
            assert_eq!(old.read().status, 418);
            drop(old);
            client.send("GET /?do=trailers HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close\r\n\r\n");
            let text = String::from_utf8_lossy(&client.read_to_end().expect("a response")).into_owned();
            let (head, rest) = text.split_once("\r\n\r\n").expect("a head");
            assert!(!head.to_lowercase().contains("x-sum: 42"), "{way} {codec}: {text}");
            assert!(rest.to_lowercase().ends_with("\r\n0\r\nx-sum: 42\r\n\r\n"), "{way} {codec}: {text}");
            drop(client);
            let response = server.get("/?do=stream");
            let pieces: String =
                ["one ".to_owned()].into_iter().chain((2..200).map(|piece| format!("{piece} "))).collect();
            assert_eq!((response.status, response.text()), (201, pieces), "{way} {codec}");
            server.stop();
        }
    }
}
