//! `schema/roadrunner.schema.json`: the settings as JSON Schema, from the tables that decode them.

use crate::Result;
use crate::generated::{Mode, settle};

/// Writes or checks the file.
pub(crate) fn run(mode: Mode) -> Result<()> {
    settle("schema/roadrunner.schema.json", &rr_config::schema(), mode, "cargo xtask schema")
}

#[cfg(test)]
mod tests {
    use crate::repo;
    use rr_config::{Loader, parse};
    use serde_json::Value;
    use std::path::Path;

    fn validator() -> jsonschema::Validator {
        let schema = serde_json::from_str(&rr_config::schema()).expect("JSON");
        jsonschema::draft7::meta::validate(&schema).expect("a schema of draft-07");
        jsonschema::draft7::new(&schema).expect("a schema")
    }

    fn tree(text: &str) -> Value {
        serde_json::from_str(&parse("test", text).expect("YAML").to_json()).expect("JSON")
    }

    fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                files(&path, found);
            } else if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".rr.yaml")) {
                found.push(path);
            }
        }
    }

    #[test]
    fn examples_are_valid() {
        let (validator, mut found) = (validator(), Vec::new());
        files(&repo::root().join("examples"), &mut found);
        assert!(!found.is_empty());
        for file in found {
            let text = std::fs::read_to_string(&file).expect("a file");
            let errors: Vec<_> = validator
                .iter_errors(&tree(&text))
                .map(|error| format!("{}: {error}", error.instance_path))
                .collect();
            assert!(errors.is_empty(), "{}: {errors:?}", file.display());
        }
    }

    /// The server's own word: no error, and no warning of a key.
    fn server_takes(text: &str) -> bool {
        let loaded = Loader::new().text("test", text).env(&|_| None).load();
        loaded.is_ok_and(|loaded| {
            !loaded.warnings.iter().any(|warning| warning.to_string().contains("unknown key"))
        })
    }

    #[test]
    fn the_schema_takes_what_the_server_takes() {
        let validator = validator();
        let values = [
            "3",
            "0",
            "-1",
            "'3'",
            "'3s'",
            "' 3s '",
            "1m30s",
            "-3s",
            "3x",
            ".5h",
            "2.5",
            "1e3",
            "true",
            "'true'",
            "yes",
            "''",
            "null",
            "10MB",
            "'10 mb'",
            "10XB",
            "[]",
            "[1, a]",
            "[[1]]",
            "{}",
            "{a: 1}",
            "{a: {b: 1}}",
            "[{a: 1}, {B: x}]",
            "0x1F",
            "'0x1F'",
            "0755",
            "json",
            "JSON",
            "Console",
            "debug",
            "warning",
            "none",
            "16384",
            "16385",
            "99",
            "404",
            "600",
        ];
        let keys = [
            "server: {command: V}",
            "server: {env: V}",
            "server: {user: V}",
            "server: {fork: V}",
            "server: {nope: V}",
            "server: {on_init: {command: x, exec_timeout: V}}",
            "http: {address: 'a:1', pool: {num_workers: V}}",
            "http: {address: 'a:1', pool: {max_jobs: V}}",
            "http: {address: 'a:1', pool: {allocate_timeout: V}}",
            "http: {address: 'a:1', max_request_size: V}",
            "http: {address: 'a:1', internal_error_code: V}",
            "http: {address: 'a:1', middleware: V}",
            "http: {address: 'a:1', app: {ini: V}}",
            "http: {address: 'a:1', codec: V}",
            "http: {address: 'a:1', uploads: V}",
            "http: {address: 'a:1', socket_mode: V}",
            "http: {address: 'a:1', pool: {supervisor: {exec_ttl: V}}}",
            "logs: {level: V}",
            "logs: {encoding: V}",
            "logs: {output: V}",
            "logs: {channels: {a: {level: V}}}",
            "logs: V",
            "dev: V",
            "kv: {a: {driver: memory, config: {eviction: V}}}",
            "kv: {a: {driver: Redis, config: {db: V}}}",
            "kv: {a: {driver: redis, nope: V}}",
            "kv: {a: {driver: V}}",
            "service: {a: {command: x, process_num: V}}",
            "service: {a: {command: x, env: V}}",
            "metrics: {collect: {a: {type: counter, labels: V}}}",
            "plugin_of_somebody: V",
        ];
        let mut wrong = Vec::new();
        for key in keys {
            for value in values {
                let text = format!("version: '3'\n{}\n", key.replace('V', value));
                let (server, schema) = (server_takes(&text), validator.is_valid(&tree(&text)));
                let known = schema && is_for_the_server(key, value);
                if server != schema && !known {
                    wrong.push(format!("{key} with {value}: the server {server}, the schema {schema}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// What the server finds and JSON Schema does not: numbers out of bounds that are texts or switches, a float that is
    /// whole. Sections of plugins that it does not know are a warning.
    fn is_for_the_server(key: &str, value: &str) -> bool {
        let bounds = key.contains("internal_error_code") && ["'3'", "true", "'0x1F'"].contains(&value);
        let float = key.contains("max_request_size") && value == "1e3";
        bounds || float || key.starts_with("plugin_of_somebody")
    }

    #[test]
    fn variables_may_stand_for_anything_and_a_version_is_needed() {
        let validator = validator();
        for text in [
            "version: '3'\nhttp: {address: '${A}', pool: {num_workers: '${N:-4}', allocate_timeout: $T}, codec: '${C}', access_logs: $L}",
            "version: '2.7'\njobs: {pool: {num_workers: 3}}\ntemporal: {address: x}",
        ] {
            assert!(validator.is_valid(&tree(text)), "{text}");
        }
        for text in ["http: {address: 'a:1'}", "version: 3"] {
            assert!(!validator.is_valid(&tree(text)), "{text}");
        }
    }
}
