//! inotify on folders and all below them. Events are taken when somebody looks, so that a request sees every change
//! that was made before it.

use crate::rules::Rules;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// More folders than this are no app.
const MAX_FOLDERS: usize = 50_000;
/// Changed files that are remembered by name.
const MAX_FILES: usize = 50;

/// A watched folder.
#[derive(Debug, Clone)]
struct Folder {
    root: PathBuf,
    path: PathBuf,
}

/// The watch.
#[derive(Debug)]
pub(crate) struct Watcher {
    /// `None` when the system gave none.
    queue: Option<OwnedFd>,
    folders: HashMap<i32, Folder>,
    rules: Rules,
    /// The limit was met, and said.
    limited: bool,
}

fn wanted() -> WatchFlags {
    WatchFlags::MODIFY
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVED_FROM
        | WatchFlags::MOVED_TO
        | WatchFlags::ONLYDIR
}

impl Watcher {
    pub(crate) fn new(roots: &[PathBuf], rules: Rules) -> Self {
        let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK);
        if let Err(error) = &queue {
            tracing::warn!(
                target: "dev", "files cannot be watched: {error}; raise fs.inotify.max_user_instances, or reload by hand"
            );
        }
        let mut watcher = Self { queue: queue.ok(), folders: HashMap::new(), rules, limited: false };
        for root in roots {
            let folder = Folder { root: root.clone(), path: root.clone() };
            watcher.add(folder, &mut Vec::new());
        }
        watcher
    }

    pub(crate) fn signal(&self) -> Option<OwnedFd> {
        self.queue.as_ref()?.try_clone().ok()
    }

    pub(crate) fn watched(&self) -> usize {
        self.folders.len()
    }

    /// Watches a folder and those below it; `found` gets the files that count.
    fn add(&mut self, folder: Folder, found: &mut Vec<PathBuf>) {
        let mut left = vec![folder];
        while let Some(folder) = left.pop() {
            let Some(queue) = &self.queue else { return };
            if self.folders.len() >= MAX_FOLDERS {
                return self.say_limit(
                    &folder.path,
                    "there are too many folders; name those that matter in dev.watch",
                );
            }
            match inotify::add_watch(queue, &folder.path, wanted()) {
                Ok(number) => {
                    self.folders.insert(number, folder.clone());
                }
                Err(Errno::NOSPC) => {
                    let text = "raise it with `sysctl fs.inotify.max_user_watches=524288`, or name fewer folders in \
                                dev.watch";
                    return self.say_limit(&folder.path, text);
                }
                // It went away, or is nobody's business.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => continue,
                Err(error) => {
                    let folder = folder.path.display();
                    tracing::warn!(target: "dev", "{folder} cannot be watched: {error}");
                    continue;
                }
            }
            // After the watch: what comes meanwhile is seen twice and not missed.
            for entry in std::fs::read_dir(&folder.path).into_iter().flatten().flatten() {
                let Ok(kind) = entry.file_type() else { continue };
                let path = entry.path();
                let below = path.strip_prefix(&folder.root).unwrap_or(&path);
                if kind.is_dir() {
                    if self.rules.folder(below) {
                        left.push(Folder { root: folder.root.clone(), path });
                    }
                } else if found.len() < MAX_FILES && self.rules.file(below) {
                    found.push(path);
                }
            }
        }
    }

    fn say_limit(&mut self, folder: &Path, what: &str) {
        if !std::mem::replace(&mut self.limited, true) {
            let watched = self.folders.len();
            tracing::warn!(
                target: "dev", watched,
                "the limit of watched folders is met at {}: changes there are not seen; {what}", folder.display()
            );
        }
    }

    /// The files that have changed since the last look.
    pub(crate) fn changed(&mut self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let Some(queue) = self.queue.as_ref().and_then(|queue| queue.try_clone().ok()) else { return files };
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut reader = Reader::new(queue, &mut buffer);
        // WOULDBLOCK is the end; another error would be for ever.
        while let Ok(event) = reader.next() {
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                files.push(PathBuf::from("(more changes than the system could tell)"));
                continue;
            }
            if flags.contains(ReadFlags::IGNORED) {
                self.folders.remove(&event.wd());
                continue;
            }
            let Some(folder) = self.folders.get(&event.wd()).cloned() else { continue };
            let Some(name) = event.file_name() else { continue };
            let path = folder.path.join(OsStr::from_bytes(name.to_bytes()));
            let below = path.strip_prefix(&folder.root).unwrap_or(&path);
            if flags.contains(ReadFlags::ISDIR) {
                if flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) && self.rules.folder(below) {
                    self.add(Folder { path, ..folder }, &mut files);
                }
            } else if self.rules.file(below) && files.len() < MAX_FILES && !files.contains(&path) {
                files.push(path);
            }
        }
        files
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn watcher(root: &Path) -> Watcher {
        Watcher::new(&[root.to_owned()], Rules::of(&rr_config::Dev::default()))
    }

    #[test]
    fn changes_are_there_at_once() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(dir.path().join("src")).expect("a folder");
        fs::create_dir_all(dir.path().join("vendor/x")).expect("a folder");
        let mut watcher = watcher(dir.path());
        assert_eq!(watcher.watched(), 2);
        assert!(watcher.changed().is_empty());
        fs::write(dir.path().join("src/a.php"), "1").expect("a file");
        fs::write(dir.path().join("vendor/x/b.php"), "1").expect("a file");
        fs::write(dir.path().join("c.txt"), "1").expect("a file");
        assert_eq!(watcher.changed(), [dir.path().join("src/a.php")]);
        assert!(watcher.changed().is_empty());
        // As editors do it: a new file takes the name of the old one.
        fs::write(dir.path().join("src/.tmp"), "2").expect("a file");
        assert!(watcher.changed().is_empty());
        fs::rename(dir.path().join("src/.tmp"), dir.path().join("src/a.php")).expect("renames");
        assert_eq!(watcher.changed(), [dir.path().join("src/a.php")]);
        fs::remove_file(dir.path().join("src/a.php")).expect("removes");
        assert_eq!(watcher.changed(), [dir.path().join("src/a.php")]);
    }

    #[test]
    fn new_folders_are_watched_with_what_is_in_them() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut watcher = watcher(dir.path());
        fs::create_dir_all(dir.path().join("one/two")).expect("a folder");
        fs::write(dir.path().join("one/two/a.php"), "1").expect("a file");
        assert_eq!(watcher.changed(), [dir.path().join("one/two/a.php")]);
        assert_eq!(watcher.watched(), 3);
        fs::write(dir.path().join("one/two/b.php"), "1").expect("a file");
        assert_eq!(watcher.changed(), [dir.path().join("one/two/b.php")]);
        fs::remove_dir_all(dir.path().join("one")).expect("removes");
        watcher.changed();
        assert_eq!(watcher.watched(), 1);
    }
}
