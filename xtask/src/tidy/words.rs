//! Words that must not be committed: paths of one machine, notes to oneself, waiting by the clock in tests (unless a
//! note says why).

use super::Finding;
use super::code::{Line, find_words, is_word};

/// Folders of a developer's machine. In two parts, so that this file passes its own check.
const PATHS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];
const NOTES: [&str; 3] = ["TODO", "FIXME", "XXX"];
const MACROS: [&str; 3] = ["dbg!", "todo!", "unimplemented!"];

/// In any file.
pub(super) fn anywhere(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (index, line) in text.lines().enumerate() {
        for name in PATHS {
            // Behind a name or a dot it is the middle of another path.
            let is_start = |at: usize| {
                let before = line[..at].chars().next_back();
                !before.is_some_and(|char| is_word(char) || ".-}*$~)".contains(char))
            };
            if line.match_indices(name).any(|(at, _)| is_start(at)) {
                let text = format!("`{name}` is a path of one machine; use a relative or temporary one");
                findings.push(Finding::new(path, index + 1, text));
            }
        }
    }
}

/// In Rust.
pub(super) fn rust(path: &str, lines: &[Line], findings: &mut Vec<Finding>) {
    let mut in_tests = is_test(path);
    for (index, line) in lines.iter().enumerate() {
        let number = index + 1;
        for word in NOTES {
            if find_words(&line.comment, word).next().is_some() {
                findings.push(Finding::new(path, number, format!("{word}; do it, or open an issue")));
            }
        }
        for name in MACROS {
            let calls = line.code.match_indices(name).filter(|(at, _)| !line.code[..*at].ends_with(is_word));
            if calls.count() > 0 {
                findings.push(Finding::new(path, number, format!("{name}; take it out")));
            }
        }
        // Modules of tests stand at the end of their file.
        in_tests |=
            line.code.trim().starts_with("#[cfg(") && find_words(&line.code, "test").next().is_some() && {
                let below = lines[index + 1..].iter().find(|line| !line.is_aside());
                below
                    .is_some_and(|line| line.code.trim_start().starts_with("mod ") && line.code.contains('{'))
            };
        let excused =
            lines[index.saturating_sub(1)..=index].iter().any(|line| line.comment.contains("SLEEP:"));
        if in_tests && !excused && sleeps(&line.code) {
            let text = "a test that sleeps; wait for the event itself, or say why not in `// SLEEP:` above";
            findings.push(Finding::new(path, number, text));
        }
    }
}

/// In PHP's own tests.
pub(super) fn phpt(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (index, line) in text.lines().enumerate() {
        if ["sleep(", "usleep("].iter().any(|call| sleeps_as(line, call)) {
            findings.push(Finding::new(path, index + 1, "a test that sleeps; wait for the event itself"));
        }
    }
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// `thread::sleep`, `time::sleep` or one of them imported; methods and functions of ours may be called so.
fn sleeps(code: &str) -> bool {
    ["thread::sleep(", "time::sleep("].iter().any(|call| code.contains(call)) || sleeps_as(code, "sleep(")
}

fn sleeps_as(code: &str, call: &str) -> bool {
    code.match_indices(call).any(|(at, _)| {
        let before = &code[..at];
        let method = before.ends_with('.') || before.ends_with("->") || before.ends_with("::");
        !method && !before.ends_with(is_word) && !before.trim_end().ends_with("fn")
    })
}

#[cfg(test)]
mod tests {
    use super::super::code::split;
    use super::{anywhere, phpt, rust};

    fn in_rust(path: &str, source: &str) -> Vec<usize> {
        let mut findings = Vec::new();
        rust(path, &split(source), &mut findings);
        findings.iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn paths_of_machines() {
        let found = |text: &str| {
            let mut findings = Vec::new();
            anywhere("a.md", text, &mut findings);
            findings.len()
        };
        assert_eq!(found(concat!("see /wo", "rk/main")), 1);
        assert_eq!(found(concat!("'/ro", "ot/x'\n$HOME/a")), 1);
        assert_eq!(found(concat!("target/wo", "rk/x, ../ro", "ot/, $DIR/wo", "rk/")), 0);
    }

    #[test]
    fn notes_and_macros() {
        assert_eq!(in_rust("a.rs", concat!("// TO", "DO: x\nlet todo = 1; // mastodon\n")), [1]);
        assert_eq!(in_rust("a.rs", "dbg!(x);\nlet x = \"dbg!(x)\";\nmy_dbg!(x);\nunimplemented!()"), [1, 4]);
    }

    #[test]
    fn sleeping_tests() {
        assert_eq!(
            in_rust("a/tests/b.rs", "std::thread::sleep(d);\nsleep(d);\npage.sleep();\nfn sleep() {}"),
            [1, 2]
        );
        assert_eq!(
            in_rust("a/src/b.rs", "thread::sleep(d);\n#[cfg(test)]\nmod tests {\n    thread::sleep(d);\n}"),
            [4]
        );
        assert_eq!(in_rust("a/src/b.rs", "#[cfg(test)]\nmod tests;\nthread::sleep(d);"), [0; 0]);
        assert_eq!(in_rust("a/tests/b.rs", "// SLEEP: idle time is measured.\nthread::sleep(d);"), [0; 0]);
        let mut findings = Vec::new();
        phpt("a.phpt", "usleep(1);\n$x->sleep(1);\ntime_nanosleep(1, 1);\nsleep(1);", &mut findings);
        assert_eq!(findings.iter().map(|finding| finding.line).collect::<Vec<_>>(), [1, 4]);
    }
}
