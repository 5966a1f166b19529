//! Where `unsafe` may be, and what must be written beside it. The compiler's lints hold the notes of blocks as well;
//! this also covers what they do not see: other configurations, `unsafe fn`, and which crates may have any.

use super::Finding;
use super::code::{Line, find_words};

/// The folders that may contain `unsafe`.
const ROOMS: [&str; 3] = ["ext/src/zend/", "runtime/crates/rr-shm/", "runtime/crates/rr-os/"];

fn is_room(path: &str) -> bool {
    ROOMS.iter().any(|room| path.starts_with(room))
}

/// `unsafe` is in its rooms only, and explained there.
pub(super) fn rooms(path: &str, lines: &[Line], findings: &mut Vec<Finding>) {
    for (index, line) in lines.iter().enumerate() {
        for at in find_words(&line.code, "unsafe") {
            let number = index + 1;
            if !is_room(path) {
                let text =
                    format!("unsafe code; move it into one of {} behind a safe function", ROOMS.join(", "));
                findings.push(Finding::new(path, number, text));
                continue;
            }
            let text = match use_of(lines, index, at + "unsafe".len()) {
                Use::Note if has_note(lines, index) => continue,
                Use::Doc if has_doc(lines, index) => continue,
                Use::Other => continue,
                Use::Note => {
                    "unsafe without a note; say in `// SAFETY:` above it why it holds and who keeps it so"
                }
                Use::Doc => {
                    "an unsafe fn or trait without `# Safety` in its doc; say what the caller must keep"
                }
            };
            findings.push(Finding::new(path, number, text));
        }
    }
}

/// What an `unsafe` needs.
enum Use {
    /// A block or an impl.
    Note,
    /// The definition of a function or trait.
    Doc,
    /// An attribute, an extern block, the type of a pointer.
    Other,
}

fn use_of(lines: &[Line], index: usize, after: usize) -> Use {
    let mut rest = lines[index].code[after..].trim_start();
    if rest.is_empty() {
        rest = lines.get(index + 1).map_or("", |line| line.code.trim_start());
    }
    if rest.starts_with('{') || rest.starts_with("impl") {
        return Use::Note;
    }
    if let Some(abi) = rest.strip_prefix("extern") {
        rest = abi.trim_start().trim_start_matches('"').trim_start();
    }
    let function = rest.strip_prefix("fn").map(str::trim_start);
    let defined =
        function.is_some_and(|name| name.starts_with(|char: char| char.is_alphabetic() || char == '_'));
    if defined || rest.starts_with("trait ") { Use::Doc } else { Use::Other }
}

/// A `SAFETY:` on the line, in the comment above, or above the statement that the line belongs to.
fn has_note(lines: &[Line], index: usize) -> bool {
    if lines[index].comment.contains("SAFETY:") {
        return true;
    }
    for line in lines[..index].iter().rev() {
        if line.comment.contains("SAFETY:") {
            return true;
        }
        let ends = line.code.trim_end().ends_with([';', '{', '}']);
        let blank = line.code.trim().is_empty() && line.comment.is_empty();
        if blank || ends && !line.is_aside() {
            return false;
        }
    }
    false
}

fn has_doc(lines: &[Line], index: usize) -> bool {
    let above = lines[..index].iter().rev().take_while(|line| line.is_aside());
    above
        .take_while(|line| !line.code.is_empty() || !line.comment.is_empty())
        .any(|line| line.comment.contains("# Safety"))
}

/// Crates of the runtime without a room forbid `unsafe`.
pub(super) fn fence(path: &str, lines: &[Line], findings: &mut Vec<Finding>) {
    let is_root =
        path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs") || path.contains("/src/bin/");
    if !path.starts_with("runtime/") || !is_root || is_room(path) {
        return;
    }
    if !lines.iter().any(|line| line.code.trim() == "#![forbid(unsafe_code)]") {
        findings.push(Finding::new(
            path,
            1,
            "a crate without unsafe code; add #![forbid(unsafe_code)] below its head",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::super::code::split;
    use super::{Finding, fence, rooms};

    const ROOM: &str = "runtime/crates/rr-os/src/x.rs";

    fn found(path: &str, source: &str) -> Vec<usize> {
        let mut findings = Vec::new();
        rooms(path, &split(source), &mut findings);
        findings.iter().map(|finding: &Finding| finding.line).collect()
    }

    #[test]
    fn nowhere_else() {
        assert_eq!(found("ext/src/api/x.rs", "// unsafe\nlet x = \"unsafe\";\nunsafe { f() };"), [3]);
        assert_eq!(found("runtime/src/x.rs", "#![forbid(unsafe_code)]"), [0; 0]);
    }

    #[test]
    fn blocks_need_a_note() {
        assert_eq!(found(ROOM, "// SAFETY: I1.\nlet x = unsafe { f() };"), [0; 0]);
        assert_eq!(found(ROOM, "// SAFETY: a long\n// story.\n#[inline]\nunsafe impl Send for X {}"), [0; 0]);
        assert_eq!(found(ROOM, "// SAFETY: I1.\nlet x = call(\n    1,\n    unsafe { f() },\n);"), [0; 0]);
        assert_eq!(found(ROOM, "unsafe { f() } // SAFETY: I1."), [0; 0]);
        assert_eq!(found(ROOM, "let x = unsafe { f() };"), [1]);
        assert_eq!(found(ROOM, "// SAFETY: I1.\nf();\nunsafe { f() };"), [3]);
        assert_eq!(found(ROOM, "// SAFETY: I1.\n\nunsafe { f() };"), [3]);
        assert_eq!(found(ROOM, "unsafe impl Send for X {}"), [1]);
    }

    #[test]
    fn functions_and_traits_need_a_doc() {
        assert_eq!(found(ROOM, "/// # Safety\n/// I1.\n#[inline]\npub unsafe fn f() {}"), [0; 0]);
        assert_eq!(found(ROOM, "/// F.\npub unsafe fn f() {}"), [2]);
        assert_eq!(found(ROOM, "#[unsafe(no_mangle)]\npub unsafe extern \"C\" fn f() {}"), [2]);
        assert_eq!(found(ROOM, "unsafe trait T {}"), [1]);
    }

    #[test]
    fn types_and_extern_blocks_need_nothing() {
        assert_eq!(
            found(ROOM, "unsafe extern \"C\" {\n    fn f();\n}\ntype F = unsafe extern \"C\" fn(u8);"),
            [0; 0]
        );
    }

    #[test]
    fn crates_forbid_it() {
        let found = |path: &str, source: &str| {
            let mut findings = Vec::new();
            fence(path, &split(source), &mut findings);
            findings.len()
        };
        assert_eq!(found("runtime/crates/rr-wire/src/lib.rs", "//! X.\n#![forbid(unsafe_code)]\n"), 0);
        assert_eq!(found("runtime/crates/rr-wire/src/lib.rs", "//! X. #![forbid(unsafe_code)]\n"), 1);
        assert_eq!(found("runtime/crates/rr-wire/src/x.rs", "//! X.\n"), 0);
        assert_eq!(found("runtime/crates/rr-os/src/lib.rs", "//! X.\n"), 0);
    }
}
