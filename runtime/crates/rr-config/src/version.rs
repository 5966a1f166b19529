//! `version` (CFG-04): owns the check and its texts.

use crate::error::{ConfigError, Position, Step, Warning};
use crate::node::{Node, Value};

/// Checks that `version` is there and a text, and gives it. `2.7` and unknown versions are accepted with a
/// warning.
pub(crate) fn check(root: &Node, source: &str, warnings: &mut Vec<Warning>) -> Result<String, ConfigError> {
    let error = |at: Position, message: String| Err(ConfigError::new(Step::Version, at, "", message));
    let Some(node) = root.lookup("version").filter(|node| !node.is_null()) else {
        let message = "rr configuration file should contain a version e.g: version: 3";
        return error(Position::new(source), message.into());
    };
    let actual = match &node.value {
        Value::Str(version) => {
            if let Some(message) = doubt(version) {
                warnings.push(Warning::new(node.at.clone(), "version", message));
            }
            return Ok(version.clone());
        }
        // Go's names: the text is RoadRunner's.
        Value::Int(_) => "int",
        Value::Float(_) => "float64",
        Value::Bool(_) => "bool",
        Value::List(_) => "[]interface {}",
        Value::Map(_) | Value::Null => "map[string]interface {}",
    };
    error(node.at.clone(), format!("version should be a string: `version: \"3\"`, actual type is: {actual}"))
}

fn doubt(version: &str) -> Option<String> {
    match version {
        "3" => None,
        "2.7" => Some("\"2.7\" is read as \"3\"; please change it to version: \"3\"".into()),
        other => {
            Some(format!("{other:?} is not a version known here, it is read as \"3\"; write version: \"3\""))
        }
    }
}
