//! The parser of multipart forms against what PHP and Go do with the same bytes.

use super::*;

const LIMITS: Limits = Limits { fields: 3, files: 2, field: 10, total: 60 };

fn parse(body: &[u8]) -> Result<Vec<Event>, TooMuch> {
    let mut parser = Parser::new(b"b", LIMITS);
    parser.push(body);
    parser.end();
    let mut seen = Vec::new();
    while let Some(event) = parser.event()? {
        seen.push(event);
    }
    Ok(seen)
}

fn field(name: &str, value: &str) -> Event {
    Event::Field { name: name.into(), value: value.into() }
}

fn file(name: &str, file_name: &str, mime: &str) -> Event {
    Event::File { name: name.into(), file_name: file_name.into(), mime: mime.into() }
}

fn data(text: &str) -> Event {
    Event::Data(text.as_bytes().into())
}

#[test]
fn fields_and_files_come_in_order() {
    let body = b"preamble\r\n--b\r\nContent-Disposition: form-data; name=\"a[]\"\r\n\r\n1\r\n--b\r\n\
        content-disposition: form-data; name=f; filename=\"x;y.txt\"\r\nContent-Type: text/plain; charset=x\r\n\r\n\
        one\r\ntwo\r\n--b\r\nContent-Disposition: form-data; filename=\"\"\r\n\r\n\r\n--b--\r\nepilogue";
    let whole = Event::End { whole: true };
    let events = parse(body).expect("parses");
    assert_eq!(
        events,
        [
            field("a[]", "1"),
            file("f", "x;y.txt", "text/plain"),
            data("one\r\ntwo"),
            Event::End { whole: true },
            file("0", "", ""),
            whole
        ]
    );
}

#[test]
fn names_are_unquoted_as_php_does() {
    for (text, name, file_name) in [
        ("form-data; name=\"a\\\"b\"", Some("a\"b"), None),
        ("form-data; name=\"a\\\\b\"", Some("a\\b"), None),
        ("form-data; name='q'; filename=plain rest", Some("q"), Some("plain")),
        ("form-data; name=\"a\"b\"", Some("a"), None),
        ("form-data;;; name = \"a\"", None, None),
        ("form-data; NAME=x; name=y", Some("y"), None),
        ("form-data; filename=\"C:\\dir\\f.txt\"", None, Some("C:\\dir\\f.txt")),
        ("form-data; name=\"open", Some("open"), None),
        ("form-data", None, None),
        ("", None, None),
    ] {
        let found = parameters(text.as_bytes());
        let owned = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
        assert_eq!(found, (owned(name), owned(file_name)), "{text}");
    }
}

#[test]
fn boundaries_are_found_or_refused() {
    for (text, found) in [
        ("multipart/form-data; boundary=x", Some("x")),
        ("multipart/form-data; BOUNDARY=\"x y\"; more", Some("x y")),
        ("multipart/form-data; boundary=x,y", Some("x")),
        ("multipart/form-data; boundary=\"x", None),
        ("multipart/form-data; boundary", None),
        ("multipart/form-data", None),
    ] {
        assert_eq!(boundary(text.as_bytes()), found.map(|found| found.as_bytes().to_vec()), "{text}");
    }
}

#[test]
fn what_is_cut_off_is_said() {
    let head = "--b\r\nContent-Disposition: form-data; name=f; filename=x\r\n\r\n";
    let events = parse(format!("{head}half").as_bytes()).expect("parses");
    assert_eq!(events, [file("f", "x", ""), data("half"), Event::End { whole: false }]);
    let events = parse(b"--b\r\nContent-Disposition: form-data; name=f\r\n\r\nhalf").expect("parses");
    assert_eq!(events, [field("f", "half")]);
    assert_eq!(parse(b"--b\r\nContent-Disposition: form-data; na").expect("parses"), []);
    assert_eq!(parse(b"--b\r\nContent-Disposition: form-data\r\n\r\nx").expect("parses"), [Event::Garbled]);
    assert_eq!(
        parse(b"--b\r\nContent-Disposition: form-data; name=\"f\"\r\n--b--\r\n").expect("parses"),
        [field("f", "")]
    );
}

#[test]
fn http_10_a_form_without_its_closing_boundary_was_cut_off() {
    let part = "--b\r\nContent-Disposition: form-data; name=f\r\n\r\n1\r\n";
    for (body, closed) in [
        (format!("{part}--b--\r\n"), true),
        (format!("{part}--b--"), true),
        (format!("{part}--b--\r\nepilogue\r\n"), true),
        ("--b--\r\n".to_owned(), true),
        ("--b\r\nContent-Disposition: form-data\r\n\r\nx".to_owned(), true),
        (format!("{part}--b-"), false),
        (part.to_owned(), false),
        (part[..part.len() - 2].to_owned(), false),
        (String::new(), false),
    ] {
        for step in [1, 7, 1000] {
            let mut parser = Parser::new(b"b", LIMITS);
            for piece in body.as_bytes().chunks(step) {
                parser.push(piece);
                while parser.event().expect("a small form").is_some() {}
            }
            parser.end();
            while parser.event().expect("a small form").is_some() {}
            assert_eq!(parser.is_closed(), closed, "{body:?} by {step}");
        }
    }
}

#[test]
fn limits_hold() {
    let part = |disposition: &str, value: &str| {
        format!("--b\r\nContent-Disposition: {disposition}\r\n\r\n{value}\r\n")
    };
    let fields = part("form-data; name=a", "1").repeat(4);
    assert_eq!(parse(fields.as_bytes()), Err(TooMuch::Fields));
    let files = part("form-data; name=a; filename=b", "1").repeat(3);
    assert_eq!(parse(files.as_bytes()), Err(TooMuch::Files));
    assert_eq!(parse(part("form-data; name=a", "12345678901").as_bytes()), Err(TooMuch::Field));
    let long = part(&format!("form-data; name={}", "n".repeat(60)), "1");
    assert_eq!(parse(long.as_bytes()), Err(TooMuch::Total));
    assert_eq!(parse(format!("--b\r\n{}", "x".repeat(LINE + 1)).as_bytes()), Err(TooMuch::Head));
    assert_eq!(parse(format!("--b\r\n{}", "x: y\r\n".repeat(HEAD / 3)).as_bytes()), Err(TooMuch::Head));
}

#[test]
fn names_with_stray_brackets_are_no_uploads() {
    for name in ["a]", "a[", "a[b]c", "a[[b]", "]["] {
        let body =
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=x\r\n\r\n1\r\n--b--");
        assert_eq!(parse(body.as_bytes()).expect("parses"), [], "{name}");
    }
}

proptest::proptest! {
    #[test]
    fn cutting_a_form_changes_nothing(cut: u8, parts: Vec<(u8, Vec<u8>)>) {
        let mut body = vec![cut];
        for (kind, bytes) in parts {
            let words: [&[u8]; 8] = [b"--b", b"\r\n", b"\n--b\r\nContent-Disposition: form-data; name=", b"; filename=",
                b"\"", b"\r\n\r\n", b"\n--b--", b"[x]"];
            body.extend_from_slice(words[usize::from(kind % 8)]);
            body.extend_from_slice(&bytes);
        }
        fuzz(&body);
    }
}
