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
