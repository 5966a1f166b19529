//! Which files count.

use rr_config::Dev;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Folders that hold no code of the app's own, or what the app writes itself.
const IGNORED: [&str; 6] =
    ["vendor", "node_modules", "var/cache", "var/log", "storage/framework", "bootstrap/cache"];

/// What is watched below a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    ignore: Vec<String>,
    extensions: Vec<String>,
}

impl Rules {
    /// The rules of a `dev` section.
    #[must_use]
    pub fn of(config: &Dev) -> Self {
        let own = config.ignore.iter().map(|one| one.trim_matches('/').to_owned());
        let ignore = IGNORED.iter().map(ToString::to_string).chain(own.filter(|one| !one.is_empty()));
        Self { ignore: ignore.collect(), extensions: config.extensions.clone() }
    }

    /// A name, or a path below the root; folders and files.
    fn ignores(&self, below: &Path) -> bool {
        let name = below.file_name().map_or(&b""[..], OsStr::as_bytes);
        self.ignore.iter().any(|one| match one.contains('/') {
            true => below.as_os_str().as_bytes() == one.as_bytes(),
            false => name == one.as_bytes(),
        })
    }

    /// Whether the folder at `below` a root is looked into.
    #[must_use]
    pub fn folder(&self, below: &Path) -> bool {
        let hidden = below.file_name().is_some_and(|name| name.as_bytes().starts_with(b"."));
        !hidden && !self.ignores(below)
    }

    /// Whether a change of the file at `below` a root reloads the app.
    #[must_use]
    pub fn file(&self, below: &Path) -> bool {
        let Some(name) = below.file_name().and_then(OsStr::to_str) else { return false };
        if self.ignores(below) {
            return false;
        }
        if name.starts_with('.') {
            let env = self.extensions.iter().any(|one| one == "env");
            // `.rr.yaml` and the like are settings too; `.x.php.swp` of an editor is not.
            return env && (name == ".env" || name.starts_with(".env."))
                || name.ends_with(".yaml") && self.extensions.iter().any(|one| one == "yaml");
        }
        let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
        extension.is_some_and(|extension| self.extensions.contains(&extension))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_settings_count() {
        let rules =
            Rules::of(&Dev { ignore: vec!["tmp".to_owned(), "/public/up/".to_owned()], ..Dev::default() });
        for file in ["a.php", "src/B.PHP", ".env", ".env.local", "config/x.yaml", ".rr.yaml", "t/a.html.twig"]
        {
            assert!(rules.file(Path::new(file)), "{file}");
        }
        for file in ["a.txt", "a", ".a.php.swp", "a.php~", "4913", "logo.png", ".envrc"] {
            assert!(!rules.file(Path::new(file)), "{file}");
        }
        for folder in ["src", "public", "var", "src/up"] {
            assert!(rules.folder(Path::new(folder)), "{folder}");
        }
        for folder in ["vendor", "a/vendor", "node_modules", ".git", "var/cache", "tmp", "x/tmp", "public/up"]
        {
            assert!(!rules.folder(Path::new(folder)), "{folder}");
        }
    }
}
