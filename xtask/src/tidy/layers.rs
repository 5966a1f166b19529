//! Who may depend on whom, as cargo resolves it.

use super::Finding;
use crate::{Result, repo};

/// Forked into every worker, or used there: nothing of Tokio may come with them.
const WITHOUT_TOKIO: [&str; 6] = ["rr-worker", "rr-process", "rr-wire", "rr-shm", "rr-os", "rr-config"];

/// Only these may use the thing on the left.
const ONLY_USERS: [(&str, &[&str], &str); 2] = [
    ("ext-php-rs", &["roadrunner"], "PHP is known to ext/ only"),
    (
        "roadrunner-runtime",
        &["roadrunner", "e2e"],
        "nothing stands above the composition root but the extension",
    ),
];

const ALL_KINDS: &str = "normal,build,dev";

/// Asks cargo and compares.
pub(super) fn check(files: &[String], findings: &mut Vec<Finding>) -> Result<()> {
    for name in WITHOUT_TOKIO {
        let below = tree(&["--package", name, "--edges", "normal", "--all-features"])?;
        let why = "its processes are forked without threads, so Tokio must not be in its dependencies";
        forbid(name, &below, |other| other == "tokio", why, findings, files);
    }
    let plugins: Vec<String> = files.iter().filter_map(|path| plugin_of(path)).collect();
    for name in &plugins {
        let below = tree(&["--package", name, "--edges", ALL_KINDS, "--all-features"])?;
        let why = "plugins know each other through the registry only";
        forbid(
            name,
            &below,
            |other| other != name && plugins.iter().any(|plugin| plugin == other),
            why,
            findings,
            files,
        );
    }
    for (name, users, why) in ONLY_USERS {
        let above = tree(&["--workspace", "--invert", name, "--edges", ALL_KINDS, "--depth", "1"])?;
        for user in names(&above).filter(|user| *user != name && !users.contains(user)) {
            let text = format!("depends on {name}, which only {} may; {why}", users.join(" and "));
            findings.push(Finding::new(&manifest(user, files), 1, text));
        }
    }
    Ok(())
}

fn forbid(
    name: &str,
    tree: &str,
    forbidden: impl Fn(&str) -> bool,
    why: &str,
    findings: &mut Vec<Finding>,
    files: &[String],
) {
    let mut found: Vec<&str> = names(tree).filter(|other| forbidden(other)).collect();
    found.sort_unstable();
    found.dedup();
    for other in found {
        let text = format!("{name} depends on {other}; {why} (see `cargo tree -p {name} -i {other}`)");
        findings.push(Finding::new(&manifest(name, files), 1, text));
    }
}

fn tree(args: &[&str]) -> Result<String> {
    let output = repo::output(repo::cargo().args(["tree", "--locked", "--prefix", "none"]).args(args))?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

/// The packages of `cargo tree --prefix none`: each line begins with a name.
fn names(tree: &str) -> impl Iterator<Item = &str> {
    tree.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| !name.starts_with('['))
}

/// The plugin whose manifest this is. Packages are named as their folders.
fn plugin_of(path: &str) -> Option<String> {
    let name = path.strip_prefix("runtime/plugins/")?.strip_suffix("/Cargo.toml")?;
    (!name.contains('/') && !name.starts_with('_')).then(|| name.to_owned())
}

/// The manifest of a package of ours, to name the place.
fn manifest(name: &str, files: &[String]) -> String {
    let end = format!("{}/Cargo.toml", name.strip_prefix("roadrunner-").unwrap_or(name));
    let own = files.iter().find(|path| **path == end || path.ends_with(&format!("/{end}")));
    own.cloned().unwrap_or_else(|| "Cargo.toml".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{forbid, manifest, names, plugin_of};

    const TREE: &str =
        "rr-worker v0.1.0 (here)\nrr-os v0.1.0 (here) (*)\n[build-dependencies]\ntokio v1.54.0\n";

    #[test]
    fn a_tree_is_read() {
        assert_eq!(names(TREE).collect::<Vec<_>>(), ["rr-worker", "rr-os", "tokio"]);
    }

    #[test]
    fn the_finding_names_the_manifest() {
        let files = ["runtime/crates/rr-worker/Cargo.toml".to_owned()];
        let mut findings = Vec::new();
        forbid("rr-worker", TREE, |name| name == "tokio", "no", &mut findings, &files);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].path, files[0]);
        assert_eq!(manifest("unknown", &files), "Cargo.toml");
    }

    #[test]
    fn plugins_are_folders() {
        assert_eq!(plugin_of("runtime/plugins/rr-http/Cargo.toml").as_deref(), Some("rr-http"));
        assert_eq!(plugin_of("runtime/plugins/rr-http/src/x/Cargo.toml"), None);
        assert_eq!(plugin_of("runtime/plugins/_template/Cargo.toml"), None);
        assert_eq!(plugin_of("runtime/crates/rr-os/Cargo.toml"), None);
    }
}
