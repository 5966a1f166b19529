//! Lines of source files: of the app's folders only, and of files of a sensible size.

use std::io::Read;
use std::path::{Path, PathBuf};

/// Larger files are not shown.
const MAX_FILE: u64 = 1 << 20;
/// Longer lines are cut.
const MAX_LINE: usize = 400;

/// Lines around one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// The number of the first.
    pub(crate) first: u32,
    /// The number of the one meant.
    pub(crate) here: u32,
    pub(crate) lines: Vec<String>,
}

/// `around` lines before and after `line` of a file below one of `roots`.
pub(crate) fn read(roots: &[PathBuf], file: &str, line: u32, around: u32) -> Option<Excerpt> {
    let (file, line) = evaluated(file).unwrap_or((file, line));
    let path = Path::new(file).canonicalize().ok()?;
    let hidden = path.file_name()?.to_str().is_none_or(|name| name.starts_with('.'));
    if line == 0 || hidden || !roots.iter().any(|root| path.starts_with(root)) {
        return None;
    }
    // Before it is opened: a pipe would wait for its other end.
    let meta = path.metadata().ok()?;
    if !meta.is_file() || meta.len() > MAX_FILE {
        return None;
    }
    let opened = std::fs::File::open(&path).ok()?;
    let mut bytes = Vec::new();
    opened.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let first = line.saturating_sub(around).max(1);
    let count = (line - first + around + 1) as usize;
    let lines: Vec<_> = text.lines().skip(first as usize - 1).take(count).map(cut).collect();
    (!lines.is_empty()).then_some(Excerpt { first, here: line, lines })
}

/// `a.php(4) : eval()'d code` is line 4 of `a.php`.
pub(crate) fn evaluated(file: &str) -> Option<(&str, u32)> {
    let (place, _) = file.split_once(") : ")?;
    let (file, line) = place.rsplit_once('(')?;
    Some((file, line.parse().ok()?))
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(MAX_LINE) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_app_are_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path().join("app");
        std::fs::create_dir(&root).expect("a folder");
        let roots = [root.canonicalize().expect("a path")];
        let inside = root.join("a.php");
        std::fs::write(&inside, "1\n2\n3\n4\n5\n").expect("a file");
        std::fs::write(dir.path().join("b.php"), "secret").expect("a file");
        std::fs::write(root.join(".env"), "secret").expect("a file");
        std::os::unix::fs::symlink(dir.path().join("b.php"), root.join("c.php")).expect("a link");
        let lines = |file: &Path, line| read(&roots, &file.to_string_lossy(), line, 1);
        let found = lines(&inside, 3).expect("lines");
        assert_eq!((found.first, found.lines), (2, vec!["2".to_owned(), "3".to_owned(), "4".to_owned()]));
        assert_eq!(lines(&inside, 1).expect("lines").first, 1);
        assert_eq!(lines(&root.join("a.php(4) : eval()'d code"), 1).expect("lines").first, 3);
        assert_eq!(lines(&inside, 900), None);
        assert_eq!(lines(&inside, u32::MAX), None);
        for other in ["../b.php", ".env", "c.php", "none.php", "."] {
            assert_eq!(lines(&root.join(other), 1), None, "{other}");
        }
    }
}
