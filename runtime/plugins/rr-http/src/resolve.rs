//! From a request's path to what answers it, for apps with a document root: a file of it, one of its scripts, or the
//! front controller, as nginx's `try_files $uri $uri/ /index.php` before php-fpm.

use crate::root::{FRESH, Root, is_code, segments};
use parking_lot::Mutex;
use rr_config::App;
use rustix::fs::OFlags;
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::os::fd::OwnedFd;
use std::time::Instant;

/// What answers a request.
#[derive(Debug)]
pub(crate) enum Target {
    /// A script: its path below the root with a leading `/`, and what follows it.
    Script { script: String, path_info: Vec<u8> },
    /// A file that is sent as it is.
    Static { file: File, meta: Metadata, name: String },
    /// A folder without its slash.
    Redirect(String),
    /// Nothing.
    NotFound,
    /// No path at all.
    Malformed,
}

/// The document root of an app.
#[derive(Debug)]
pub(crate) struct Resolver {
    app: App,
    root: Root,
    /// Paths that scripts answer, for as long as they are believed without a look.
    scripts: Mutex<Scripts>,
}

/// Scripts that were found, since when, and how many at most.
#[derive(Debug, Default)]
struct Scripts {
    since: Option<Instant>,
    found: HashMap<String, (String, Vec<u8>)>,
}

impl Scripts {
    const MOST: usize = 1024;
    const LONGEST: usize = 256;

    fn get(&mut self, path: &str) -> Option<Target> {
        if self.since.is_none_or(|since| since.elapsed() >= FRESH) {
            self.found.clear();
            self.since = Some(Instant::now());
            return None;
        }
        let (script, path_info) = self.found.get(path)?;
        Some(Target::Script { script: script.clone(), path_info: path_info.clone() })
    }

    fn put(&mut self, path: &str, script: &str, path_info: &[u8]) {
        if self.found.len() < Self::MOST && path.len() <= Self::LONGEST {
            self.found.insert(path.to_owned(), (script.to_owned(), path_info.to_vec()));
        }
    }
}

impl Resolver {
    /// `None`: the app has no document root.
    pub(crate) fn new(app: &App) -> Option<Self> {
        let root = Root::new(app.root.as_deref()?, app.symlinks);
        Some(Self { app: app.clone(), root, scripts: Mutex::default() })
    }

    fn is_file(&self, root: &OwnedFd, path: &str) -> bool {
        self.root.open(root, path, OFlags::PATH).is_some_and(|(_, meta)| meta.is_file())
    }

    /// What answers `target`, a path with or without a query.
    pub(crate) fn resolve(&self, target: &str) -> Target {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        if let Some(known) = self.scripts.lock().get(path) {
            return known;
        }
        let found = self.look(path, query);
        if let Target::Script { script, path_info } = &found {
            self.scripts.lock().put(path, script, path_info);
        }
        found
    }

    fn look(&self, path: &str, query: Option<&str>) -> Target {
        let Some(segments) = segments(path) else { return Target::Malformed };
        if segments.iter().any(|segment| segment.starts_with('.') && segment != ".well-known") {
            return Target::NotFound;
        }
        let Some(root) = self.root.folder() else { return Target::NotFound };
        if self.app.scripts {
            for (index, _) in segments.iter().enumerate().filter(|(_, segment)| segment.ends_with(".php")) {
                let script = segments[..=index].join("/");
                if self.is_file(&root, &script) {
                    let rest = &segments[index + 1..];
                    let mut path_info = String::new();
                    for segment in rest {
                        path_info.push('/');
                        path_info.push_str(segment);
                    }
                    // `/index.php/` has a path info of `/`.
                    if path.ends_with('/') {
                        path_info.push('/');
                    }
                    return Target::Script {
                        script: format!("/{script}"),
                        path_info: path_info.into_bytes(),
                    };
                }
            }
        }
        let joined = segments.join("/");
        if let Some((_, meta)) = self.root.open(&root, &joined, OFlags::PATH) {
            if meta.is_dir() {
                if let Some(target) = self.folder(&root, &joined, path, query) {
                    return target;
                }
            } else if meta.is_file() && self.app.serve_static && !is_code(&joined) && !path.ends_with('/') {
                return match self.root.open(&root, &joined, OFlags::RDONLY) {
                    Some((file, meta)) => Target::Static { file, meta, name: joined },
                    None => Target::NotFound,
                };
            }
        }
        let index = &self.app.index;
        if index.is_empty() || !self.is_file(&root, index) {
            return Target::NotFound;
        }
        Target::Script { script: format!("/{index}"), path_info: Vec::new() }
    }

    /// A folder with a front controller of its own.
    fn folder(&self, root: &OwnedFd, joined: &str, path: &str, query: Option<&str>) -> Option<Target> {
        let index = &self.app.index;
        if index.is_empty() {
            return None;
        }
        let script = if joined.is_empty() { index.clone() } else { format!("{joined}/{index}") };
        if !self.app.scripts && !joined.is_empty() || !self.is_file(root, &script) {
            return None;
        }
        if !path.ends_with('/') {
            // A path of two slashes would be another host.
            let path = format!("/{}/", path.trim_matches('/'));
            return Some(Target::Redirect(query.map_or(path.clone(), |query| format!("{path}?{query}"))));
        }
        Some(Target::Script { script: format!("/{script}"), path_info: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> (tempfile::TempDir, Resolver) {
        let outside = tempfile::tempdir().expect("a folder");
        let root = outside.path().join("public");
        std::fs::create_dir_all(root.join("dir/sub")).expect("folders");
        for (name, text) in [
            ("public/index.php", "front"),
            ("public/other.php", "other"),
            ("public/a b.txt", "text"),
            ("public/CODE.PHP", "code"),
            ("public/.env", "secret"),
            ("public/dir/index.php", "folder"),
            ("secret.txt", "secret"),
        ] {
            std::fs::write(outside.path().join(name), text).expect("a file");
        }
        std::os::unix::fs::symlink("../secret.txt", root.join("link.txt")).expect("a link");
        std::os::unix::fs::symlink("a b.txt", root.join("inside.txt")).expect("a link");
        let app = App { root: Some(root.to_string_lossy().into_owned()), ..App::default() };
        let resolver = Resolver::new(&app).expect("a resolver");
        (outside, resolver)
    }

    fn shown(resolver: &Resolver, target: &str) -> String {
        match resolver.resolve(target) {
            Target::Script { script, path_info } => {
                format!("{script} {}", String::from_utf8_lossy(&path_info))
            }
            Target::Static { name, .. } => format!("file {name}"),
            Target::Redirect(to) => format!("to {to}"),
            Target::NotFound => "none".to_owned(),
            Target::Malformed => "malformed".to_owned(),
        }
    }

    #[test]
    fn paths_find_what_answers_them() {
        let (_outside, resolver) = site();
        for (target, answer) in [
            ("/", "/index.php "),
            ("/?x=1", "/index.php "),
            ("/nothing/here", "/index.php "),
            ("/other.php", "/other.php "),
            ("/other.php/a/b?x", "/other.php /a/b"),
            ("/other.php/", "/other.php /"),
            ("/a%20b.txt", "file a b.txt"),
            ("/inside.txt", "file inside.txt"),
            ("/dir", "to /dir/"),
            ("//dir?q", "to /dir/?q"),
            ("/dir/", "/dir/index.php "),
            ("/dir/sub/", "/index.php "),
            ("/x/../other.php", "/other.php "),
        ] {
            assert_eq!(shown(&resolver, target), answer, "{target}");
        }
    }

    #[test]
    fn nothing_outside_of_the_root_and_no_code_is_sent() {
        let (_outside, resolver) = site();
        for (target, answer) in [
            ("/../secret.txt", "malformed"),
            ("/%2e%2e/secret.txt", "malformed"),
            ("/dir/..%2f..%2fsecret.txt", "malformed"),
            ("/%252e%252e/secret.txt", "/index.php "),
            ("/link.txt", "/index.php "),
            ("/.env", "none"),
            ("/dir/.git/config", "none"),
            ("/CODE.PHP", "/index.php "),
            ("/a%00b", "malformed"),
            ("/a%zz", "malformed"),
            ("/a%2", "malformed"),
            ("/%ff", "malformed"),
        ] {
            assert_eq!(shown(&resolver, target), answer, "{target}");
        }
    }
}
