//! `dev` and `http.error_pages`: every way to write them.

use super::{fault, load, warnings};
use crate::PageOf;

#[test]
fn dev_is_a_switch_or_a_section() {
    assert!(!load("").dev.enabled);
    for (yaml, enabled) in [
        ("dev: true", true),
        ("dev: 1", true),
        ("dev: 'true'", true),
        ("dev: false", false),
        ("dev: {leaks: true}", true),
        ("dev: {enabled: 0, leaks: true}", false),
        ("dev: {enabled: 'T'}", true),
        ("dev:", false),
    ] {
        assert_eq!(load(yaml).dev.enabled, enabled, "{yaml}");
    }
    let dev = load("dev: {watch: 'src, config', ignore: [tmp], extensions: [.PHP, md], leaks: 1}").dev;
    assert_eq!(dev.watch, ["src", "config"]);
    assert_eq!(dev.ignore, ["tmp"]);
    assert_eq!(dev.extensions, ["php", "md"]);
    assert!(dev.leaks);
    assert!(fault("dev: sometimes").contains("dev: expected true or false"));
    assert!(fault("dev: {watch: {a: b}}").contains("dev.watch"));
    assert!(warnings("dev: {wach: src}")[0].contains("did you mean \"watch\"?"));
}

#[test]
fn error_pages_are_sorted_by_what_they_cover() {
    let pages = |map: &str| format!("http: {{address: ':0', error_pages: {map}}}");
    let http = load(&pages("{default: a.html, 5xx: b.html, 404: c.html}")).http.unwrap();
    let files: Vec<_> = http.error_pages.iter().map(|page| page.file.as_str()).collect();
    assert_eq!(files, ["c.html", "b.html", "a.html"]);
    assert!(PageOf::Class(5).covers(503) && !PageOf::Class(5).covers(404) && PageOf::Any.covers(431));
    assert!(!PageOf::Any.covers(301));
    assert!(fault(&pages("{200: a}")).contains("http.error_pages.200: is no status"));
    assert!(fault(&pages("{404: [a]}")).contains("http.error_pages.404"));
    assert!(fault(&pages("nothing")).contains("files by status"));
}
