//! From a file, overrides and PHP arrays to a `Config`: owns the order of the steps (CFG-03). Each step
//! lives in a file of its own.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::error::{ConfigError, Position, Step, Warning};
use crate::expand::Env;
use crate::include::Includes;
use crate::node::{MAX_DEPTH, Node, Value};
use crate::{expand, overrides, toml, version, yaml};

/// Settings that can be used, and what the user should know about them.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Unknown keys, things this version does not serve, likely slips.
    pub warnings: Vec<Warning>,
}

/// How files are read; the fuzz target has none.
pub(crate) type Reader = fn(&Path) -> io::Result<Vec<u8>>;

/// Where the settings come from. Without a file or a text only PHP's settings and overrides count, and
/// `version` may be missing.
#[derive(Clone, Default)]
pub struct Loader<'a> {
    file: Option<PathBuf>,
    text: Option<(String, String)>,
    tree: Option<Node>,
    overrides: Vec<String>,
    cwd: Option<PathBuf>,
    env: Option<&'a Env<'a>>,
    reader: Option<Reader>,
}

impl fmt::Debug for Loader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader")
            .field("file", &self.file)
            .field("overrides", &self.overrides)
            .finish_non_exhaustive()
    }
}

impl<'a> Loader<'a> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads this file, YAML or JSON. Errors name it as given here.
    pub fn file(mut self, path: &Path) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Takes this text instead of a file; errors call it `source`.
    pub fn text(mut self, source: &str, yaml: &str) -> Self {
        self.text = Some((source.into(), yaml.into()));
        self
    }

    /// Lays these settings over the file, key by key; overrides come on top. Variables in them are not
    /// expanded: PHP has `getenv()`. Called again, the later settings lie over the earlier.
    pub fn tree(mut self, node: Node) -> Self {
        match &mut self.tree {
            Some(tree) => tree.merge(node),
            None => self.tree = Some(node),
        }
        self
    }

    /// Adds `key.path=value` texts, as `-o` gives them.
    pub fn overrides(mut self, list: &[String]) -> Self {
        self.overrides.extend_from_slice(list);
        self
    }

    /// Looks variables up here; in the environment of the process unless called.
    pub fn env(mut self, f: &'a dyn Fn(&str) -> Option<String>) -> Self {
        self.env = Some(f);
        self
    }

    /// Where relative paths of `include` start; the directory of the file unless called.
    pub fn cwd(mut self, path: &Path) -> Self {
        self.cwd = Some(path.into());
        self
    }

    /// Reads no file at all.
    pub(crate) fn without_files(mut self) -> Self {
        self.reader = Some(|_| Err(io::Error::from(io::ErrorKind::PermissionDenied)));
        self
    }

    /// Goes through all steps: read, expand variables, lay PHP's settings over, apply overrides, check the
    /// version, include files, decode the sections.
    pub fn load(self) -> Result<Loaded, ConfigError> {
        let process_env = |name: &str| std::env::var(name).ok();
        let env: &Env<'_> = self.env.unwrap_or(&process_env);
        let read = self.reader.unwrap_or(read_limited);
        let mut warnings = Vec::new();

        let has_file = self.file.is_some() || self.text.is_some();
        let (source, mut root) = self.read(read)?;
        expand::tree(&mut root, env);
        dotted(&mut root);
        if let Some(tree) = self.tree {
            check_tree(&tree)?;
            root.merge(tree);
        }
        overrides::apply(&mut root, &self.overrides, env)?;
        let version = match has_file {
            true => Some(version::check(&root, &source, &mut warnings)?),
            false => None,
        };
        let base = self.cwd.as_deref().or_else(|| self.file.as_deref()?.parent()).unwrap_or(Path::new(""));
        Includes { base, version: version.as_deref(), env, read }.apply(&mut root, &mut warnings)?;
        let config = Config::decode(root, &mut warnings)?;
        Ok(Loaded { config, warnings })
    }

    /// The settings as they are written, merged: neither the version nor any section is looked at. For who needs one of
    /// them and is not going to serve.
    pub fn merged(self) -> Result<Node, ConfigError> {
        let process_env = |name: &str| std::env::var(name).ok();
        let env: &Env<'_> = self.env.unwrap_or(&process_env);
        let read = self.reader.unwrap_or(read_limited);
        let (_, mut root) = self.read(read)?;
        expand::tree(&mut root, env);
        dotted(&mut root);
        overrides::apply(&mut root, &self.overrides, env)?;
        let version = root.lookup("version").and_then(|node| node.as_str()).map(str::to_owned);
        let base = self.cwd.as_deref().or_else(|| self.file.as_deref()?.parent()).unwrap_or(Path::new(""));
        Includes { base, version: version.as_deref(), env, read }.apply(&mut root, &mut Vec::new())?;
        Ok(root)
    }

    /// The tree of the file or text, and what errors call it. No file is an empty map.
    fn read(&self, read: Reader) -> Result<(String, Node), ConfigError> {
        let (source, text) = match (&self.text, &self.file) {
            (Some((source, text)), _) => (source.clone(), text.clone()),
            (None, Some(path)) => (path.display().to_string(), read_file(path, read)?),
            (None, None) => {
                let at = self.tree.as_ref().map_or(Position::new(overrides::SOURCE), |tree| tree.at.clone());
                return Ok((at.source.to_string(), Node::empty(at)));
            }
        };
        let tree = match &self.file {
            Some(path) if self.text.is_none() => parse(path, &source, &text)?,
            _ => yaml::parse(&source, &text)?,
        };
        require_map(&tree)?;
        Ok((source, tree))
    }
}

/// `http.address: …` at the top of a file is `address` in `http`, as viper has it.
fn dotted(root: &mut Node) {
    let Value::Map(map) = &mut root.value else { return };
    let keys: Vec<String> =
        map.iter().map(|(key, _)| key).filter(|key| is_path(key)).map(str::to_owned).collect();
    for key in keys {
        let Value::Map(map) = &mut root.value else { return };
        let Some(node) = map.remove(&key) else { continue };
        // What is nested counts, if both are there.
        if root.lookup(&key).is_none() {
            root.set(&key.split('.').collect::<Vec<_>>(), node);
        }
    }
}

fn is_path(key: &str) -> bool {
    let parts = key.split('.');
    key.contains('.') && parts.clone().count() <= MAX_DEPTH && parts.into_iter().all(|part| !part.is_empty())
}

/// Parses what was in a file, by its ending (CFG-02).
pub(crate) fn parse(path: &Path, source: &str, text: &str) -> Result<Node, ConfigError> {
    match path.extension().and_then(|kind| kind.to_str()) {
        Some("toml") => toml::parse(source, text),
        _ => yaml::parse(source, text),
    }
}

/// Reads a file as text. Of RoadRunner's file types (CFG-02), YAML, JSON and TOML are read; the others are no longer its
/// own either.
pub(crate) fn read_file(path: &Path, read: Reader) -> Result<String, ConfigError> {
    let error = |message: String| {
        ConfigError::new(Step::Read, Position::new(&path.display().to_string()), "", message)
    };
    if let Some(kind @ ("hcl" | "ini" | "properties")) = path.extension().and_then(|kind| kind.to_str()) {
        return Err(error(format!("{kind} files are not read; write the settings as .yaml, .json or .toml")));
    }
    let bytes = read(path).map_err(|cause| error(format!("cannot read {}: {cause}", path.display())))?;
    String::from_utf8(bytes).map_err(|cause| {
        let good = &cause.as_bytes()[..cause.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        error(format!("line {line} is not UTF-8 text; save the file as UTF-8"))
    })
}

/// Reads little more than a settings file may have: the parser refuses the rest.
fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(yaml::MAX_SIZE as u64 + 4).read_to_end(&mut bytes)?;
    if bytes.len() > yaml::MAX_SIZE + 3 {
        return Err(io::Error::other(format!("bigger than {} KiB", yaml::MAX_SIZE >> 10)));
    }
    Ok(bytes)
}

/// A settings file has keys at its top.
pub(crate) fn require_map(tree: &Node) -> Result<(), ConfigError> {
    if tree.as_map().is_some() {
        return Ok(());
    }
    let message = format!("expected keys with values, such as `version: \"3\"`, got {}", tree.describe());
    Err(ConfigError::new(Step::Parse, tree.at.clone(), "", message))
}

/// PHP arrays have no parser that would have limited them.
fn check_tree(tree: &Node) -> Result<(), ConfigError> {
    require_map(tree)?;
    if tree.deeper_than(MAX_DEPTH) {
        let message = format!("nested deeper than {MAX_DEPTH} levels");
        return Err(ConfigError::new(Step::Parse, tree.at.clone(), "", message));
    }
    Ok(())
}
