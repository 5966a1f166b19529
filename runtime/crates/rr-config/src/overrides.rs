//! `-o key.path=value` (CFG-06): owns its syntax and error texts, and lays the values over the tree.

use crate::error::{ConfigError, Position, Step};
use crate::expand::{Env, expand};
use crate::node::{MAX_DEPTH, Node, Value};

/// The source that values from the command line name.
pub const SOURCE: &str = "-o";

/// Applies each `key.path=value` in turn. Values are texts, expanded once more and weakly typed later.
pub(crate) fn apply(root: &mut Node, list: &[String], env: &Env<'_>) -> Result<(), ConfigError> {
    for flag in list {
        let (key, text) = split(flag)
            .map_err(|message| ConfigError::new(Step::Override, Position::new(SOURCE), "", message))?;
        let path: Vec<&str> = key.split('.').collect();
        if path.contains(&"") || path.len() > MAX_DEPTH {
            let message = format!("invalid key `{key}`, write names with single dots between");
            return Err(ConfigError::new(Step::Override, Position::new(SOURCE), "", message));
        }
        root.set(&path, Node::new(Value::Str(expand(&text, env)), Position::new(SOURCE)));
    }
    Ok(())
}

fn split(flag: &str) -> Result<(&str, String), String> {
    if !flag.contains('=') {
        return Err(format!("invalid flag `{flag}`, write it as -o key=value"));
    }
    let Some((key, value)) = flag.trim_start_matches([' ', '"', '\'', '`']).split_once('=') else {
        return Err(format!("invalid flag `{flag}`, usage: -o key=value"));
    };
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() {
        return Err(format!("key should not be empty in `{flag}`, write it as -o key=value"));
    }
    if value.is_empty() {
        return Err(format!("value should not be empty in `{flag}`, write it as -o key=value"));
    }
    Ok((key, unquote(value)))
}

fn unquote(value: &str) -> String {
    match value.chars().next() {
        Some(quote @ ('"' | '\'' | '`')) => {
            value.trim_matches(quote).replace(&format!("\\{quote}"), &quote.to_string())
        }
        _ => value.into(),
    }
}
