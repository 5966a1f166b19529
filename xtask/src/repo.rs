//! Where the repository is, which files belong to it, and how programs are run in it.

use crate::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// What a command writes to stdout; its stderr is passed on.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| format!("{name} cannot be started: {error}"))?;
    if !output.status.success() {
        let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
        return Err(format!("{name} {} failed: {}", args.join(" "), output.status));
    }
    Ok(output.stdout)
}

/// All files of the project, relative to the root, sorted: those git knows or would add, or without git all but
/// what a build writes.
pub(crate) fn files() -> Result<Vec<String>> {
    let root = root();
    let mut list = match listed_by_git(&root) {
        Some(list) => list,
        None => {
            let mut list = Vec::new();
            walk(&root, "", &mut list).map_err(|error| format!("{}: {error}", root.display()))?;
            list
        }
    };
    // A file that git knows may be gone from the work tree.
    list.retain(|path| root.join(path).is_file());
    list.sort();
    list.dedup();
    Ok(list)
}

fn listed_by_git(root: &Path) -> Option<Vec<String>> {
    if !root.join(".git").exists() {
        return None;
    }
    let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(args).current_dir(root).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(text.split_terminator('\0').map(str::to_owned).collect())
}

/// Directories that hold nothing of ours, wherever they are.
const SKIPPED: [&str; 4] = [".git", "target", "vendor", "autom4te.cache"];
/// What phpize writes into the root.
const PHPIZE: [&str; 3] = ["build", "modules", "include"];
const PHPIZE_FILES: [&str; 8] = [
    "configure",
    "configure.ac",
    "config.log",
    "config.status",
    "config.nice",
    "libtool",
    "Makefile",
    "run-tests.php",
];

fn walk(root: &Path, below: &str, list: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(root.join(below))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_dir = entry.file_type()?.is_dir();
        let top = below.is_empty();
        if is_dir && (SKIPPED.contains(&&*name) || top && PHPIZE.contains(&&*name))
            || top && PHPIZE_FILES.contains(&&*name)
        {
            continue;
        }
        let path = if top { name } else { format!("{below}/{name}") };
        if is_dir {
            walk(root, &path, list)?;
        } else {
            list.push(path);
        }
    }
    Ok(())
}
