//! Pages in all forms.

use super::{Format, Seen, decode, form};
use crate::{Dev, Rules};
use rr_wire::report::{Error, Frame, Report};

const EVIL: &str = "<script>alert(1)</script>\"'&\u{1b}[31m";

fn dev(root: &std::path::Path) -> Dev {
    Dev::new(Rules::of(&rr_config::Dev::default()), vec![root.to_owned()], "8.2.1 (cli)")
}

fn seen(accept: &str) -> Seen {
    Seen {
        method: "POST".to_owned(),
        target: format!("/a?x=%3Cb%3E&y[]=1+2&{EVIL}"),
        headers: [
            ("accept", accept),
            ("cookie", "sid=ab%20c; theme=<i>"),
            ("content-type", "application/x-www-form-urlencoded"),
            (EVIL, EVIL),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        body: format!("name=J%C3%BCrgen&{EVIL}={EVIL}").into_bytes(),
        more: true,
    }
}

fn report(file: &str) -> String {
    let frame = |file: &str| Frame { file: file.to_owned(), line: 2, call: format!("{EVIL}->run()") };
    let error = Error {
        class: format!("App\\{EVIL}"),
        message: format!("first\n{EVIL}"),
        code: EVIL.to_owned(),
        file: file.to_owned(),
        line: 2,
        frames: vec![frame(file), frame(EVIL), frame("")],
    };
    Report { errors: vec![error.clone(), error], facts: vec![(EVIL.to_owned(), EVIL.to_owned())] }
        .encode(1 << 20)
}

#[test]
fn html_escapes_everything() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("a.php");
    std::fs::write(&file, format!("<?php\n// the line {EVIL}\n")).expect("a file");
    let page = dev(dir.path()).page(500, &report(&file.to_string_lossy()), &seen("text/html"));
    assert_eq!(page.format, Format::Html);
    let body = page.body;
    assert!(!body.contains("<script") && !body.contains('\u{1b}') && !body.contains("<i>\n"), "{body}");
    assert!(!body.contains("<b>&"), "{body}");
    for part in [
        "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;",
        "<span class=\"here\"><i>2</i>// the line &lt;script",
        "<th>x</th><td>&lt;b&gt;</td>",
        "<th>y[]</th><td>1 2</td>",
        "<th>sid</th><td>ab c</td>",
        "<th>theme</th><td>&lt;i&gt;</td>",
        "<th>name</th><td>Jürgen</td>",
        "[inside of PHP]",
        "caused by",
        "a.php<b>:2</b>",
        "PHP 8.2.1 (cli)",
        "The body is longer",
    ] {
        assert!(body.contains(part), "{part} in {body}");
    }
}

#[test]
fn programs_and_terminals_get_their_own() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("a.php");
    std::fs::write(&file, "<?php\nthrow 1;\n").expect("a file");
    let (dev, report) = (dev(dir.path()), report(&file.to_string_lossy()));
    let page = dev.page(500, &report, &seen("application/json"));
    assert_eq!(page.format, Format::Json);
    let value: serde_json::Value = serde_json::from_str(&page.body).expect("json");
    assert_eq!(value["status"], 500);
    assert_eq!(value["error"]["message"], format!("first\n{EVIL}"));
    assert_eq!(value["error"]["trace"][0]["line"], 2);
    assert_eq!(value["excerpt"][1]["code"], "throw 1;");
    assert_eq!(value["previous"].as_array().map(Vec::len), Some(1));
    let page = dev.page(500, &report, &seen("*/*"));
    assert_eq!(page.format, Format::Text);
    assert!(
        page.body.contains("  >     2 | throw 1;") && page.body.contains("caused by App\\"),
        "{}",
        page.body
    );
    assert!(!page.body.contains('\u{1b}'));
    let page = dev.page(502, "the worker died: killed by signal 9", &seen("text/html"));
    assert!(page.body.contains("the worker died: killed by signal 9"), "{}", page.body);
}

#[test]
fn the_form_is_what_the_client_reads() {
    for (accept, format) in [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Html),
        ("application/json, text/plain, */*", Format::Json),
        ("application/problem+json", Format::Json),
        ("application/json, text/html", Format::Json),
        ("*/*", Format::Text),
        ("", Format::Text),
    ] {
        assert_eq!(seen(accept).format(), format, "{accept}");
    }
}

#[test]
fn forms_are_decoded() {
    assert_eq!(decode("a%2Gb%"), "a%2Gb%");
    assert_eq!(decode("%C3%BC%ff"), "ü\u{fffd}");
    assert_eq!(form("a=1&&b"), [("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())]);
}
