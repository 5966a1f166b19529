//! `include` (CFG-05): owns which files are read and how they are laid over the tree.

use std::path::{Path, PathBuf};

use crate::error::{ConfigError, Step, Warning};
use crate::expand::{self, Env};
use crate::load::{self, Reader};
use crate::node::{Node, Value};
use crate::version;

/// What an included file is read with.
pub(crate) struct Includes<'a> {
    /// Where relative paths start.
    pub(crate) base: &'a Path,
    /// The version every included file must have; `None` if the root has none.
    pub(crate) version: Option<&'a str>,
    pub(crate) env: &'a Env<'a>,
    pub(crate) read: Reader,
}

impl Includes<'_> {
    /// Reads the files `include` names, in order. Each top-level key of a file replaces the root's key
    /// wholly, also one that an override set; later files win. An `include` inside them is not followed.
    pub(crate) fn apply(&self, root: &mut Node, warnings: &mut Vec<Warning>) -> Result<(), ConfigError> {
        let Some(include) = root.lookup("include").cloned() else { return Ok(()) };
        for (name, at) in names(&include)? {
            let path: PathBuf = self.base.join(&name);
            let mut tree = load::read_file(&path, self.read)
                .and_then(|text| load::parse(&path, &name, &text))
                .map_err(|error| match error.step {
                    Step::Read => {
                        ConfigError { step: Step::Include, at: at.clone(), path: "include".into(), ..error }
                    }
                    _ => error,
                })?;
            load::require_map(&tree)?;
            expand::tree(&mut tree, self.env);
            // The root's version was commented on already.
            let version = version::check(&tree, &name, &mut Vec::new())?;
            if self.version.is_some_and(|root| root != version) {
                let at = tree.lookup("version").map_or(at, |node| node.at.clone());
                let message = "version in included file must be the same as in root";
                return Err(ConfigError::new(Step::Include, at, "", message));
            }
            let (Value::Map(root), Value::Map(mut tree)) = (&mut root.value, tree.value) else { continue };
            if let Some(nested) = tree.remove("include") {
                let message = "an include inside an included file is not followed; name the file in the root";
                warnings.push(Warning::new(nested.at, "include", message));
            }
            root.join(tree, |have, new| *have = new);
        }
        Ok(())
    }
}

/// A list of files, or a text with blanks between them.
fn names(include: &Node) -> Result<Vec<(String, crate::Position)>, ConfigError> {
    let wrong = |node: &Node| {
        let message = format!("expected a list of files, got {}", node.describe());
        ConfigError::new(Step::Include, node.at.clone(), "include", message)
    };
    match &include.value {
        Value::Null => Ok(Vec::new()),
        Value::Str(text) => {
            Ok(text.split_whitespace().map(|name| (name.into(), include.at.clone())).collect())
        }
        Value::List(items) => {
            let name =
                |item: &Node| item.as_str().map(|name| (name.to_owned(), item.at.clone())).ok_or(wrong(item));
            items.iter().map(name).collect()
        }
        _ => Err(wrong(include)),
    }
}
