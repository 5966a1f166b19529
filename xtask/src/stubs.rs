//! `stubs/roadrunner.stub.php`: the PHP classes of the extension for editors and static analysis. A debug build of
//! the extension knows its own stub.

use crate::generated::{Mode, settle};
use crate::{Result, repo};
use std::path::PathBuf;
use std::process::Command;

/// Builds the extension, asks it, and writes or checks the file.
pub(crate) fn run(mode: Mode) -> Result<()> {
    let built = repo::cargo()
        .args(["build", "--locked", "--package", "roadrunner"])
        .status()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !built.success() {
        return Err("the extension does not build".to_owned());
    }
    let library = target_dir().join("debug/libroadrunner.so");
    let php = std::env::var_os("PHP").unwrap_or_else(|| "php".into());
    let mut extension = std::ffi::OsString::from("extension=");
    extension.push(library);
    let text =
        repo::output(Command::new(php).args(["-n", "-d"]).arg(extension).args(["-r", "echo rr_stub();"]))?;
    let text = String::from_utf8(text).map_err(|_| "the stub is not UTF-8".to_owned())?;
    if !text.starts_with("<?php") {
        return Err(format!("the extension gave no stub but: {text}"));
    }
    settle("stubs/roadrunner.stub.php", &tidied(&text), mode, "cargo xtask stubs")
}

fn target_dir() -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR").filter(|path| !path.is_empty());
    repo::root().join(chosen.map_or_else(|| PathBuf::from("target"), PathBuf::from))
}

/// No blanks at the ends of lines, one line break at the end of the file.
fn tidied(text: &str) -> String {
    let mut out: String = text.trim_end().lines().flat_map(|line| [line.trim_end(), "\n"]).collect();
    out.insert_str(
        "<?php\n".len().min(out.len()),
        "\n// Made by `cargo xtask stubs`: edit the Rust sources.\n",
    );
    out
}

#[cfg(test)]
mod tests {
    use super::tidied;

    #[test]
    fn ends_of_lines_are_clean() {
        let want = "<?php\n\n// Made by `cargo xtask stubs`: edit the Rust sources.\n\nclass A {\n}\n";
        assert_eq!(tidied("<?php\n\nclass A {  \n}\n\n\n"), want);
    }
}
