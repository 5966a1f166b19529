//! A command line: its words, and the file that its first word means.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Splits a line at blanks, as RoadRunner does (CFG-12), and leaves together what stands in single or double quotes.
/// Inside of double quotes a backslash keeps the meaning of a quote or a backslash after it away; elsewhere it is a
/// character like any other. Several blanks are one: RoadRunner makes empty arguments of them, which nobody means.
///
/// # Errors
/// There is no word, or a quote has no end.
pub(crate) fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = line.chars().peekable();
    while let Some(char) = rest.next() {
        match (char, quote) {
            (_, Some(open)) if char == open => quote = None,
            ('\\', Some('"')) => {
                let escaped = rest.next_if(|next| matches!(next, '"' | '\\'));
                word.get_or_insert_default().push(escaped.unwrap_or('\\'));
            }
            ('"' | '\'', None) => {
                quote = Some(char);
                // Two quotes with nothing between them are an empty word.
                word.get_or_insert_default();
            }
            (' ' | '\t' | '\n' | '\r', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(char),
        }
    }
    if let Some(open) = quote {
        return Err(format!(
            "the command has a {open} without a second one; put it into the other kind of quotes"
        ));
    }
    words.extend(word);
    match words.first() {
        Some(first) if !first.is_empty() => Ok(words),
        _ => Err("the command is empty; say what to run".to_owned()),
    }
}

/// The file of a program: the one it names, relative to `cwd`, or the first of that name in the folders of `path`.
///
/// # Errors
/// What is wrong with it, and what to do.
pub fn find(program: &str, path: &str, cwd: &Path) -> Result<PathBuf, String> {
    if program.contains('/') {
        let file = cwd.join(program);
        return match runnable(&file) {
            Found::Yes => Ok(file),
            Found::No => Err(format!("{program}: there is no such file in {}", cwd.display())),
            Found::Folder => Err(format!("{program} is a folder; name a program")),
            Found::Data => Err(not_executable(&file)),
        };
    }
    let mut data = None;
    for folder in path.split(':') {
        let file = cwd.join(folder).join(program);
        match runnable(&file) {
            Found::Yes => return Ok(file),
            Found::Data => data = data.or(Some(file)),
            Found::No | Found::Folder => {}
        }
    }
    Err(match data {
        Some(file) => not_executable(&file),
        None => format!("{program} was not found in PATH ({path}); install it, or give its full path"),
    })
}

/// Why a program that was found does not run.
#[must_use]
pub fn not_run(file: &Path, error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => {
            " (the interpreter in its first line, or the working directory, is missing)"
        }
        io::ErrorKind::PermissionDenied => " (its user may not run it, or the file system is mounted noexec)",
        _ if error.raw_os_error() == Some(ENOEXEC) => {
            " (no program of this machine; a script needs #! and its interpreter in the first line)"
        }
        _ => "",
    };
    format!("{} cannot be run: {error}{hint}", file.display())
}

const ENOEXEC: i32 = 8;

fn not_executable(file: &Path) -> String {
    format!(
        "{} is not executable; set its permission with chmod +x, or run it by its interpreter",
        file.display()
    )
}

enum Found {
    Yes,
    No,
    Folder,
    Data,
}

fn runnable(file: &Path) -> Found {
    match file.metadata() {
        Err(_) => Found::No,
        Ok(data) if data.is_dir() => Found::Folder,
        Ok(data) if data.permissions().mode() & 0o111 == 0 => Found::Data,
        Ok(_) => Found::Yes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cfg_12_words_are_split_at_blanks_and_quotes_hold_together() {
        let words = |line: &str| split(line).expect("words");
        assert_eq!(words("php worker.php -f=1"), ["php", "worker.php", "-f=1"]);
        assert_eq!(words("  a \t b\n"), ["a", "b"]);
        assert_eq!(words("sh -c 'exit 3'"), ["sh", "-c", "exit 3"]);
        assert_eq!(words(r#"a "b \"c\" \\ \d" '' x"y z"'w'"#), ["a", r#"b "c" \ \d"#, "", "xy zw"]);
        assert_eq!(words(r"php App\Job\Run 'it''s'"), ["php", r"App\Job\Run", "its"]);
        for (line, text) in [("", "empty"), ("  ", "empty"), ("'' x", "empty"), ("it's", "without a second")]
        {
            assert!(split(line).expect_err("refused").contains(text), "{line}");
        }
    }

    #[test]
    fn programs_are_found_and_what_is_wrong_with_them_is_said() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("data"), "x").expect("a file");
        std::fs::create_dir(dir.path().join("folder")).expect("a folder");
        let here = dir.path();
        let fails = |program: &str, text: &str| {
            let error = find(program, &here.display().to_string(), here).expect_err("refused");
            assert!(error.contains(text), "{error}");
        };
        fails("nothing", "was not found in PATH");
        fails("./nothing", "there is no such file in");
        fails("data", "chmod +x");
        fails("./data", "chmod +x");
        fails("./folder", "is a folder");
        fails("folder", "was not found in PATH");
        let shell = find("sh", "/nonexistent:/usr/bin:/bin", here).expect("a shell");
        assert!(shell.ends_with("sh") && shell.is_absolute());
        assert_eq!(find("/bin/sh", "", here), Ok(PathBuf::from("/bin/sh")));
    }
}
