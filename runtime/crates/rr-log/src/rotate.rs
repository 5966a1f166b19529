//! A log file that is rotated: full at a size, then renamed with the time, compressed if wanted, and removed when there
//! are too many or they are too old. As RoadRunner's `file_logger_options`.

use crate::format::time;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How to rotate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The file.
    pub path: PathBuf,
    /// Bytes at which it is rotated; 0: never.
    pub max_size: u64,
    /// How long rotated files are kept; zero: for ever.
    pub max_age: Duration,
    /// How many are kept; 0: all.
    pub max_backups: usize,
    /// Compresses them.
    pub compress: bool,
}

/// The file, open.
#[derive(Debug)]
pub(crate) struct Rotating {
    rotation: Rotation,
    file: File,
    size: u64,
}

impl Rotating {
    pub(crate) fn open(rotation: Rotation) -> io::Result<Self> {
        if let Some(folder) = rotation.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&rotation.path)?;
        let size = file.metadata()?.len();
        Ok(Self { rotation, file, size })
    }

    /// Writes whole lines; they never part over two files.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let most = self.rotation.max_size;
        if most > 0 && self.size > 0 && self.size + bytes.len() as u64 > most {
            // Better one that grows than lines that are lost.
            let _ = self.turn();
        }
        self.file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn turn(&mut self) -> io::Result<()> {
        let full = free_name(&self.rotation.path, SystemTime::now());
        std::fs::rename(&self.rotation.path, &full)?;
        self.file = OpenOptions::new().create(true).append(true).open(&self.rotation.path)?;
        self.size = 0;
        let rotation = self.rotation.clone();
        // Compressing takes seconds, and lines wait for this thread.
        let tidy = move || {
            if rotation.compress {
                // What is not compressed is still there.
                let _ = compress(&full);
            }
            clean(&rotation, SystemTime::now());
        };
        std::thread::Builder::new().name("rr-log-rotate".to_owned()).spawn(tidy).map(drop)
    }
}

fn parts(path: &Path) -> (String, String) {
    let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let end = text(path.extension());
    (text(path.file_stem()), if end.is_empty() { end } else { format!(".{end}") })
}

/// `app-2026-11-22T20-15-00.123.log`, and with a number if there is one already.
fn free_name(path: &Path, now: SystemTime) -> PathBuf {
    let (stem, end) = parts(path);
    let stamp = time(now).replace(':', "-");
    let stamp = stamp.trim_end_matches('Z');
    let plain = path.with_file_name(format!("{stem}-{stamp}{end}"));
    let numbered = (1..).map(|number| path.with_file_name(format!("{stem}-{stamp}.{number}{end}")));
    let is_free = |path: &PathBuf| !path.exists() && !packed(path).exists();
    std::iter::once(plain.clone()).chain(numbered).find(is_free).unwrap_or(plain)
}

fn packed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    name.into()
}

fn compress(path: &Path) -> io::Result<()> {
    let target = packed(path);
    let result = (|| {
        let mut from = File::open(path)?;
        let mut into = flate2::write::GzEncoder::new(File::create(&target)?, flate2::Compression::default());
        io::copy(&mut from, &mut into)?;
        into.finish()?.sync_all()
    })();
    match result {
        Ok(()) => std::fs::remove_file(path),
        Err(error) => {
            let _ = std::fs::remove_file(&target);
            Err(error)
        }
    }
}

/// Removes rotated files that are too many or too old.
fn clean(rotation: &Rotation, now: SystemTime) {
    let (stem, end) = parts(&rotation.path);
    let start = format!("{stem}-");
    let folder = rotation.path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let is_ours = |name: &str| {
        let name = name.strip_suffix(".gz").unwrap_or(name);
        let stamp = name.strip_prefix(&start).and_then(|rest| rest.strip_suffix(&*end));
        // `2026-11-22T…`: another log of a similar name is not ours to remove.
        stamp.is_some_and(|stamp| stamp.len() >= 23 && stamp.as_bytes().get(10) == Some(&b'T'))
    };
    let mut found: Vec<_> = std::fs::read_dir(folder.unwrap_or(Path::new(".")))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| is_ours(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect();
    // The time is in the name: the youngest first.
    found.sort();
    found.reverse();
    let too_old = |path: &Path| {
        let modified = std::fs::metadata(path).and_then(|meta| meta.modified());
        let age = modified.ok().and_then(|modified| now.duration_since(modified).ok());
        !rotation.max_age.is_zero() && age.is_some_and(|age| age > rotation.max_age)
    };
    for (index, path) in found.iter().enumerate() {
        if rotation.max_backups > 0 && index >= rotation.max_backups || too_old(path) {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::time::Instant;

    fn rotation(folder: &Path) -> Rotation {
        Rotation {
            path: folder.join("app.log"),
            max_size: 100,
            max_age: Duration::from_secs(86_400),
            max_backups: 3,
            compress: false,
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).expect("reads").flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[track_caller]
    fn eventually(mut look: impl FnMut() -> bool) {
        let began = Instant::now();
        while !look() {
            assert!(began.elapsed() < Duration::from_secs(10), "did not happen");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_full_file_is_renamed_and_old_ones_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let other = folder.path().join("app-other.log");
        std::fs::write(&other, "x").expect("writes");
        let mut log = Rotating::open(rotation(folder.path())).expect("opens");
        for index in 0..50 {
            log.write(format!("{index:049}\n").as_bytes()).expect("writes");
        }
        eventually(|| names(folder.path()).len() == 5);
        let last = std::fs::read_to_string(folder.path().join("app.log")).expect("reads");
        assert_eq!(last.lines().count(), 2, "two lines of 50 bytes fit");
        assert!(last.ends_with("49\n") && other.exists());
    }

    #[test]
    fn rotated_files_are_compressed_and_nothing_is_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let rotation = Rotation { compress: true, max_backups: 0, ..rotation(folder.path()) };
        let mut log = Rotating::open(rotation).expect("opens");
        for index in 0..10 {
            log.write(format!("{index:049}\n").as_bytes()).expect("writes");
        }
        let packed = || names(folder.path()).into_iter().filter(|name| name.ends_with(".log.gz"));
        eventually(|| packed().count() == 4 && names(folder.path()).len() == 5);
        let mut text = String::new();
        for name in packed() {
            let file = File::open(folder.path().join(name)).expect("opens");
            flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("unpacks");
        }
        assert_eq!(text.lines().count(), 8);
    }

    #[test]
    fn what_is_too_old_goes_and_an_existing_file_is_continued() {
        let folder = tempfile::tempdir().expect("a folder");
        let rotation = Rotation { max_backups: 0, ..rotation(folder.path()) };
        std::fs::write(&rotation.path, "old\n").expect("writes");
        let mut log = Rotating::open(rotation.clone()).expect("opens");
        log.write(b"new\n").expect("writes");
        assert_eq!(std::fs::read_to_string(&rotation.path).expect("reads"), "old\nnew\n");
        let backup = folder.path().join("app-2020-01-01T00-00-00.000.log");
        std::fs::write(&backup, "x").expect("writes");
        clean(&rotation, SystemTime::now());
        assert!(backup.exists(), "its age is its time of writing");
        clean(&rotation, SystemTime::now() + Duration::from_secs(100_000));
        assert!(!backup.exists());
    }
}
