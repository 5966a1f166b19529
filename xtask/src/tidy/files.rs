//! What every file must have: a head that says what it owns, and an end before it gets long.

use super::Finding;

/// More lines than this are a warning, and an error.
const SOFT: usize = 500;
const HARD: usize = 900;

/// Rust files begin with a doc comment.
pub(super) fn head(path: &str, text: &str, findings: &mut Vec<Finding>) {
    if !text.starts_with("//!") {
        findings.push(Finding::new(
            path,
            1,
            "no head; begin the file with `//!`: what it owns and what it must not know",
        ));
    }
}

/// No long files, except generated ones.
pub(super) fn size(path: &str, text: &str, findings: &mut Vec<Finding>, warnings: &mut Vec<Finding>) {
    if !(path.ends_with(".rs") || path.ends_with(".php")) || path.starts_with("stubs/") {
        return;
    }
    let count = text.lines().count();
    let (list, limit) = match count {
        _ if count > HARD => (findings, HARD),
        _ if count > SOFT => (warnings, SOFT),
        _ => return,
    };
    list.push(Finding::new(
        path,
        count,
        format!("{count} lines, more than {limit}; split the file by topic"),
    ));
}

#[cfg(test)]
mod tests {
    use super::{head, size};

    #[test]
    fn heads() {
        let found = |text: &str| {
            let mut findings = Vec::new();
            head("a.rs", text, &mut findings);
            findings.len()
        };
        assert_eq!(found("//! A.\n"), 0);
        assert_eq!(found("// A.\n"), 1);
        assert_eq!(found("use a;\n//! A.\n"), 1);
    }

    #[test]
    fn sizes() {
        let found = |path: &str, count: usize| {
            let (mut findings, mut warnings) = (Vec::new(), Vec::new());
            size(path, &"x\n".repeat(count), &mut findings, &mut warnings);
            (findings.len(), warnings.len())
        };
        assert_eq!(found("a.rs", 500), (0, 0));
        assert_eq!(found("a.php", 501), (0, 1));
        assert_eq!(found("a.rs", 901), (1, 0));
        assert_eq!(found("a.md", 901), (0, 0));
        assert_eq!(found("stubs/a.stub.php", 901), (0, 0));
    }
}
