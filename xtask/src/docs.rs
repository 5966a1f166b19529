//! `docs/config.md`: the reference of all settings, from the tables that decode them.

use crate::Result;
use crate::generated::{Mode, settle};

const INTRO: &str = "\
# Settings

<!-- Made by `cargo xtask docs` from runtime/crates/rr-config: edit the sources. -->

Every key this version serves. Settings come from a file (`Server::fromFile('.rr.yaml')`), from PHP
(`Server::create([...])`, the same keys as nested arrays), or from single calls
(`$server->set('http.pool.num_workers', 8)`).

A key that begins its meaning with *Ours* is not one of RoadRunner's. An unknown key is a warning with a suggestion, a
wrong value an error that names file, line and key. `${NAME}` and `${NAME:-default}` in a file are replaced from the
environment. Durations are written with a unit (`500ms`, `60s`, `1h30m`), sizes too (`64KB`, `10MB`).
`Server::check('.rr.yaml')` and `rr config check` check a file without starting anything. Editors find every key in
`schema/roadrunner.schema.json` (draft-07), named in the file's first line:
`# yaml-language-server: $schema=path/to/roadrunner.schema.json`.

";

/// Writes or checks the file.
pub(crate) fn run(mode: Mode) -> Result<()> {
    let text = format!("{INTRO}{}\n", rr_config::reference().trim_end());
    settle("docs/config.md", &text, mode, "cargo xtask docs")
}

#[cfg(test)]
mod tests {
    use crate::repo;

    /// All that crate rr-`name` consists of.
    fn sources_of(name: &str) -> String {
        let mut folders = ["crates", "plugins"]
            .map(|kind| repo::root().join(format!("runtime/{kind}/rr-{name}/src")))
            .to_vec();
        let mut all = String::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|ending| ending == "rs") {
                    all += &std::fs::read_to_string(&path).expect("a source");
                }
            }
        }
        assert!(!all.is_empty(), "there is no crate rr-{name}");
        all
    }

    /// Each `file.rs` `name…` of docs/differences.md, and each crate's, is a test that there is.
    #[test]
    fn differences_name_tests_that_are_there() {
        let text = std::fs::read_to_string(repo::root().join("docs/differences.md")).expect("the page");
        let mut checked = 0;
        for line in text.lines().filter(|line| line.starts_with("| ") && line.contains("`")) {
            let Some(cell) = line.trim_end_matches([' ', '|']).rsplit(" | ").next() else { continue };
            let mut source = String::new();
            for word in cell.split('`').map(str::trim).filter(|word| !word.is_empty()) {
                if word.ends_with(".rs") {
                    let file = repo::root().join("e2e/tests").join(word);
                    source = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{word}: {error}"));
                } else if let Some(name) = word.strip_suffix('…').filter(|_| !cell.starts_with("xtask")) {
                    assert!(source.contains(&format!("fn {name}")), "there is no test {name}: {line}");
                    checked += 1;
                } else if let Some(name) = word.trim_matches([',', ' ']).strip_prefix("rr-") {
                    source = sources_of(name);
                }
            }
        }
        assert!(checked > 20, "{checked}");
    }
}
