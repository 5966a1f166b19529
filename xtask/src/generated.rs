//! Files that are made from the code and committed: written, or compared with what they should be.

use crate::{Result, repo};
use std::process::Command;

/// What to do with a generated file.
#[derive(Clone, Copy)]
pub(crate) enum Mode {
    /// Write it.
    Write,
    /// Fail with a diff if it is not as it would be written.
    Check,
}

/// Writes or checks the file at `path`, relative to the root. `command` makes it anew.
pub(crate) fn settle(path: &str, text: &str, mode: Mode, command: &str) -> Result<()> {
    let file = repo::root().join(path);
    let fault = |error: std::io::Error| format!("{path}: {error}");
    let old = match std::fs::read_to_string(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        other => other.map_err(fault)?,
    };
    if old == text {
        println!("{path} is up to date");
        return Ok(());
    }
    match mode {
        Mode::Write => {
            let folder = file.parent().unwrap_or(&file);
            std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&file, text)).map_err(fault)?;
            println!("{path} is written");
            Ok(())
        }
        Mode::Check => {
            println!("{}", diff(path, text).unwrap_or_else(|error| format!("(no diff: {error})")));
            Err(format!("{path} is not what the code says; run `{command}` and commit it"))
        }
    }
}

/// The differences as `diff -u` shows them.
fn diff(path: &str, text: &str) -> std::io::Result<String> {
    use std::io::Write;
    use std::process::Stdio;
    let file = repo::root().join(path);
    let file = if file.exists() { file } else { "/dev/null".into() };
    let mut child = Command::new("diff")
        .args(["-u", "--label", path, "--label", "generated"])
        .arg(file)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        // On a thread of its own: both pipes can be full at once.
        scope.spawn(move || stdin.as_mut().map(|stdin| stdin.write_all(text.as_bytes())));
        child.wait_with_output()
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
