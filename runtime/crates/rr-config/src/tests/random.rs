//! Random texts: nothing panics, nothing hangs, whatever a file holds.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::env;
use crate::{Loader, fuzz, parse};

/// Pieces of which YAML that nearly makes sense is put together.
fn pieces() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "http",
        "pool",
        "num_workers",
        "server",
        "command",
        "logs",
        "level",
        "version",
        "include",
        ": ",
        ":",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "&a ",
        "*a",
        "<<: ",
        "'",
        "\"",
        "|\n",
        ">",
        "? ",
        "!!int ",
        "!!str ",
        "---\n",
        "...\n",
        "#",
        "%YAML 1.2\n",
        "\t",
        "${",
        "$",
        "}",
        ":-",
        "3",
        "60s",
        "1e9",
        "true",
        "null",
        "\\",
        "\u{feff}",
        "é",
        "\r\n",
        "@",
        "`",
        "~",
        "0x",
        "-1",
    ];
    prop::collection::vec(prop::sample::select(WORDS), 0..60).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(data in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz(&data);
    }

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        fuzz(text.as_bytes());
    }

    #[test]
    fn almost_yaml(text in pieces()) {
        fuzz(text.as_bytes());
        fuzz(format!("version: '3'\nhttp: {{address: ':1'}}\n{text}").as_bytes());
        fuzz(format!("version: '3'\nhttp:\n  address: ':1'\n  pool:\n    {text}").as_bytes());
    }

    #[test]
    fn any_override(flag in "[a-z.=\"'`${}:0-9 -]{0,30}", key in "(http|logs|server|endure)\\.[a-z_.]{1,20}") {
        for flag in [flag.clone(), format!("{key}={flag}")] {
            _ = Loader::new().text("f", "version: '3'").overrides(&[flag]).env(&env).without_files().load();
        }
    }

    #[test]
    fn any_duration_and_size(text in "[-+]?[0-9]{0,40}\\.?[0-9]{0,40}(h|m|s|ms|µs|KB|G)?[0-9a-z]{0,3}") {
        _ = crate::units::parse_duration(&text);
        _ = crate::units::parse_size(&text, 1 << 20);
        _ = crate::scalar::resolve(&text);
    }

    #[test]
    fn json_of_a_tree_reads_back(text in pieces()) {
        if let Ok(node) = parse("f", &text) {
            // Key order is kept and floats that JSON lacks become null, so the second round changes nothing.
            let json = node.to_json();
            prop_assert_eq!(parse("g", &json).map(|node| node.to_json()), Ok(json));
        }
    }
}

#[test]
fn nothing_takes_long() {
    let full = |piece: &str| piece.repeat(crate::MAX_SIZE / piece.len());
    let cases = [
        full("["),
        full("{"),
        full("- "),
        full("? "),
        full("a: "),
        full("a\n"),
        full("a: 1\n"),
        full("a,"),
        full("#"),
        full("# a\n"),
        full("'"),
        full("\""),
        full(" "),
        full("\n"),
        full("\t"),
        full("&a "),
        full("*a "),
        full("!a "),
        full("---\n"),
        full("%a b\n"),
        full("|\n "),
        full("x"),
        full("\"\\u0041"),
        format!("[{}]", "a,".repeat(60_000)),
        format!("[{}]", "{a: b},".repeat(20_000)),
        format!("a: |\n{}", "  x\n".repeat(200_000)),
        format!("a: \"{}\"", "x\n ".repeat(200_000)),
        format!("a: {}", "x ".repeat(400_000)),
        format!("a: {}", "x\n ".repeat(300_000)),
        format!("a: '{}'", "${a".repeat(300_000)),
        format!("a: '{}'", "$".repeat(1_000_000)),
        (0..40_000).map(|n| format!("key_{n}: &a{n} {n}\n")).collect(),
        (0..60_000).map(|n| format!("key_{n}: 1\n")).collect(),
    ];
    for text in cases {
        let start = Instant::now();
        fuzz(format!("version: '3'\n{text}").as_bytes());
        fuzz(text.as_bytes());
        // Each takes well below a second; quadratic time would be far above ten.
        let took = start.elapsed();
        assert!(
            took < Duration::from_secs(10),
            "{took:?} for {:?}",
            text.chars().take(20).collect::<String>()
        );
    }
}
