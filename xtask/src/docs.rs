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

    /// Each `file.rs` `name…` of docs/differences.md is a test that there is.
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
                    let of_a_crate = cell.contains("rr-kv") && name.starts_with("kv_04");
                    assert!(
                        of_a_crate || source.contains(&format!("fn {name}")),
                        "there is no test {name}: {line}"
                    );
                    checked += 1;
                }
            }
        }
        assert!(checked > 20, "{checked}");
    }
}
