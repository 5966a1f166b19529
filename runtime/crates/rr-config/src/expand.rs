//! Environment variables in values (CFG-07…09). Owns the syntax; where variables come from is the caller's
//! matter.

use crate::node::{Node, Value};

/// Looks a variable up.
pub(crate) type Env<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Expands every text and every list of texts of a tree. Maps inside lists stay as they are (CFG-09),
/// except in `server.env` and `server.on_init.env`, which RoadRunner expands at a later step.
pub(crate) fn tree(root: &mut Node, env: &Env<'_>) {
    walk(root, "", env);
}

fn walk(node: &mut Node, path: &str, env: &Env<'_>) {
    match &mut node.value {
        Value::Str(text) => *text = expand(text, env),
        Value::List(items) => {
            for item in items {
                match &mut item.value {
                    Value::Str(text) => *text = expand(text, env),
                    Value::Map(_) if matches!(path, "server.env" | "server.on_init.env") => {
                        walk(item, path, env)
                    }
                    _ => {}
                }
            }
        }
        Value::Map(map) => {
            for (key, item) in map.iter_mut() {
                let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                walk(item, &path, env);
            }
        }
        _ => {}
    }
}

/// Expands `$VAR`, `${VAR}` and `${VAR:-default}`; the default also stands in for an empty variable. As in
/// Go's `os.Expand`, `$1`, `$$`, `$*`, `$#`, `$@`, `$!`, `$?` and `$-` are names of one character, a `$`
/// before anything else stays, and `${` without `}` is eaten.
///
/// Unlike RoadRunner (CFG-08), a `:-` somewhere in the text does not empty the other variables of it: each
/// is expanded on its own.
pub(crate) fn expand(text: &str, env: &Env<'_>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // Past this no name can be closed; searching again at every `${` would take quadratic time.
    let last_brace = text.rfind('}').unwrap_or(0);
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let closable = text.len() - after.len() < last_brace;
        let (name, width) = if after.starts_with('{') && !closable { (None, 1) } else { variable(after) };
        match name {
            Some(name) => out.push_str(&value(name, env)),
            None if width == 0 => out.push('$'),
            None => {}
        }
        rest = &after[width..];
    }
    out + rest
}

/// The name after a `$` and how much text it takes; no name and some width is syntax to be eaten.
fn variable(after: &str) -> (Option<&str>, usize) {
    if let Some(inner) = after.strip_prefix('{') {
        return match inner.find('}') {
            Some(0) => (None, 2),
            Some(end) => (Some(&inner[..end]), end + 2),
            None => (None, 1),
        };
    }
    if after.starts_with(|c: char| c.is_ascii_digit() || "*#$@!?-".contains(c)) {
        return (Some(&after[..1]), 1);
    }
    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
    ((end > 0).then(|| &after[..end]), end)
}

fn value(name: &str, env: &Env<'_>) -> String {
    match name.split_once(":-") {
        Some((name, default)) => {
            env(name).filter(|value| !value.is_empty()).unwrap_or_else(|| default.into())
        }
        None => env(name).unwrap_or_default(),
    }
}
