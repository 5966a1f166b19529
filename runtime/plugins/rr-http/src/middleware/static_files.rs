//! `static` (HS-06): files of a folder that answer before the app. What is no file of it goes on to the app.

use super::etag;
use super::headers::fields;
use crate::body::Body;
use crate::files::{self, Methods, Said};
use crate::respond;
use crate::root::{Root, decode, is_code, segments};
use http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LAST_MODIFIED};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use parking_lot::Mutex;
use rustix::fs::OFlags;
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

/// Larger files get a tag of their time and size, as without `calculate_etag`: one request would read all of them.
const LARGEST_TAGGED: u64 = 64 << 20;

/// The folder and what of it is sent.
#[derive(Debug)]
pub(crate) struct StaticFiles {
    site: Arc<Site>,
    forbid: Vec<String>,
    allow: Vec<String>,
    request: Vec<(HeaderName, HeaderValue)>,
    response: Vec<(HeaderName, HeaderValue)>,
}

/// What is used beside the reactor.
#[derive(Debug)]
struct Site {
    root: Root,
    tags: Option<Tags>,
}

/// How tags are made.
#[derive(Debug)]
enum Tags {
    OfName,
    OfContent(Mutex<HashMap<Version, Option<HeaderValue>>>),
}

/// A content of a file: device, inode, size and time in nanoseconds.
type Version = (u64, u64, u64, i64, i64);

/// Tags that are remembered.
const MOST_TAGS: usize = 4096;

/// The tag of a file.
enum Tag {
    /// The usual one.
    Usual,
    Is(HeaderValue),
    None,
}

struct Found {
    file: File,
    meta: Metadata,
    tag: Tag,
}

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// It climbs.
    Forbidden,
    /// The app.
    Other,
    /// A path below the folder.
    File(String),
}

impl StaticFiles {
    /// # Errors
    /// The folder is not there, or a header is none.
    pub(crate) fn new(config: &rr_config::StaticFiles) -> Result<Self, String> {
        let wrong = |what: &str| format!("http.static.dir: {}: {what}", config.dir);
        let meta = std::fs::metadata(&config.dir).map_err(|error| wrong(&error.to_string()))?;
        if !meta.is_dir() {
            return Err(wrong("is no folder"));
        }
        let tags = match (config.calculate_etag, config.weak) {
            (false, _) => None,
            (true, true) => Some(Tags::OfName),
            (true, false) => Some(Tags::OfContent(Mutex::default())),
        };
        Ok(Self {
            site: Arc::new(Site { root: Root::new(&config.dir, config.symlinks), tags }),
            forbid: config.forbid.clone(),
            allow: config.allow.clone(),
            request: fields("http.static.request", &config.request)?,
            response: fields("http.static.response", &config.response)?,
        })
    }

    fn wanted(&self, path: &str) -> Wanted {
        let Some(decoded) = decode(path) else { return Wanted::Other };
        if decoded.contains("..") && decoded.split(['/', '\\']).any(|segment| segment == "..") {
            return Wanted::Forbidden;
        }
        let Some(segments) = segments(path).filter(|_| !decoded.ends_with('/')) else { return Wanted::Other };
        let Some(name) = segments.last() else { return Wanted::Other };
        let extension = name.rfind('.').map(|at| name[at..].to_lowercase());
        let Some(extension) = extension.filter(|extension| extension.len() > 1) else { return Wanted::Other };
        let hidden = |segment: &String| segment.starts_with('.') && segment != ".well-known";
        if is_code(name)
            || segments.iter().any(hidden)
            || self.forbid.contains(&extension)
            || !self.allow.is_empty() && !self.allow.contains(&extension)
        {
            return Wanted::Other;
        }
        Wanted::File(segments.join("/"))
    }

    /// The answer to a request, unless that is for the app.
    pub(crate) async fn enter(&self, parts: &Parts) -> Option<Response<Body>> {
        let path = match self.wanted(parts.uri.path()) {
            Wanted::Forbidden => return Some(respond::plain(StatusCode::FORBIDDEN, "the path climbs")),
            Wanted::File(path) if parts.method == Method::GET || parts.method == Method::HEAD => path,
            Wanted::Other | Wanted::File(_) => return None,
        };
        let site = Arc::clone(&self.site);
        let found = tokio::task::spawn_blocking(move || site.find(&path).map(|found| (found, path)));
        let (found, path) = found.await.ok().flatten()?;
        Some(self.answer(parts, found, &path))
    }

    fn answer(&self, parts: &Parts, found: Found, path: &str) -> Response<Body> {
        let Found { file, meta, tag } = found;
        let given =
            |name: HeaderName| self.response.iter().find(|(own, _)| *own == name).map(|(_, value)| value);
        let said = Said {
            kind: given(CONTENT_TYPE),
            tag: match &tag {
                Tag::Is(tag) => Some(given(ETAG).unwrap_or(tag)),
                Tag::Usual | Tag::None => given(ETAG),
            },
            modified: given(LAST_MODIFIED),
        };
        let mut response = if self.request.is_empty() {
            files::respond(parts, file, &meta, path, said, Methods::Read)
        } else {
            let mut parts = parts.clone();
            parts
                .headers
                .extend(self.request.iter().map(|(name, value)| (Some(name.clone()), value.clone())));
            files::respond(&parts, file, &meta, path, said, Methods::Read)
        };
        if matches!(tag, Tag::None) && given(ETAG).is_none() {
            response.headers_mut().remove(ETAG);
        }
        for (name, value) in &self.response {
            // Of a part, or of no file at all, they are others.
            if ![CONTENT_TYPE, ETAG, LAST_MODIFIED].contains(name) {
                response.headers_mut().insert(name.clone(), value.clone());
            }
        }
        response
    }
}

impl Site {
    fn find(&self, path: &str) -> Option<Found> {
        let folder = self.root.folder()?;
        // Nothing but a file may be opened: that alone can do something elsewhere.
        self.root.open(&folder, path, OFlags::PATH).filter(|(_, meta)| meta.is_file())?;
        let (file, meta) = self.root.open(&folder, path, OFlags::RDONLY)?;
        let tag = match &self.tags {
            _ if !meta.is_file() => return None,
            None => Tag::Usual,
            Some(Tags::OfName) => tagged(etag::weak(path.rsplit('/').next().unwrap_or(path))),
            Some(Tags::OfContent(_)) if meta.len() > LARGEST_TAGGED => Tag::Usual,
            Some(Tags::OfContent(known)) => of_content(known, &file, &meta),
        };
        Some(Found { file, meta, tag })
    }
}

fn tagged(text: String) -> Tag {
    HeaderValue::try_from(text).map_or(Tag::Usual, Tag::Is)
}

fn of_content(known: &Mutex<HashMap<Version, Option<HeaderValue>>>, file: &File, meta: &Metadata) -> Tag {
    let version = (meta.dev(), meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec());
    let of = |tag: Option<HeaderValue>| tag.map_or(Tag::None, Tag::Is);
    if let Some(tag) = known.lock().get(&version) {
        return of(tag.clone());
    }
    // What is sent is read by position, so that reading here moves nothing.
    let Ok(tag) = etag::strong(file) else { return Tag::Usual };
    let tag = tag.and_then(|tag| HeaderValue::try_from(tag).ok());
    let mut known = known.lock();
    if known.len() >= MOST_TAGS {
        known.clear();
    }
    known.insert(version, tag.clone());
    of(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(dir: &std::path::Path) -> rr_config::StaticFiles {
        rr_config::StaticFiles { dir: dir.to_string_lossy().into_owned(), ..Default::default() }
    }

    /// HS-06.
    #[test]
    fn paths_are_files_or_the_apps_or_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let files = StaticFiles::new(&rr_config::StaticFiles {
            forbid: vec![".htaccess".to_owned(), ".secret".to_owned()],
            ..config(dir.path())
        })
        .expect("files");
        for (path, want) in [
            ("/a.txt", "a.txt"),
            ("/dir/b%20c.TXT", "dir/b c.TXT"),
            ("/.well-known/x.json", ".well-known/x.json"),
            ("//a.txt", "a.txt"),
            ("/a..b.txt", "a..b.txt"),
            ("/%252e%252e/x.txt", "%2e%2e/x.txt"),
            ("/a", "app"),
            ("/", "app"),
            ("/a.", "app"),
            ("/a.txt/", "app"),
            ("/dir.d/a", "app"),
            ("/a.secret", "app"),
            ("/a.SECRET", "app"),
            ("/.env", "app"),
            ("/.git/config.txt", "app"),
            ("/a.php", "app"),
            ("/a.PHP", "app"),
            ("/a%00.txt", "app"),
            ("/a%zz.txt", "app"),
            ("/%ff.txt", "app"),
            ("/../a.txt", "refused"),
            ("/..", "refused"),
            ("/x/%2e%2e/a.txt", "refused"),
            ("/x/.%2E/a", "refused"),
            ("/x%2f..%2fa.txt", "refused"),
            ("/x\\..\\a.txt", "refused"),
            ("/..%5ca.txt", "refused"),
        ] {
            let shown = match files.wanted(path) {
                Wanted::Forbidden => "refused".to_owned(),
                Wanted::Other => "app".to_owned(),
                Wanted::File(path) => path,
            };
            assert_eq!(shown, want, "{path}");
        }
        let allow = vec![".txt".to_owned()];
        let files = StaticFiles::new(&rr_config::StaticFiles { allow, ..config(dir.path()) }).expect("files");
        assert_eq!(files.wanted("/a.txt"), Wanted::File("a.txt".to_owned()));
        assert_eq!(files.wanted("/a.css"), Wanted::Other);
    }

    /// HS-06.
    #[test]
    fn only_files_of_the_folder_are_found() {
        let dir = tempfile::tempdir().expect("a folder");
        let site = dir.path().join("site");
        std::fs::create_dir_all(site.join("sub.txt")).expect("folders");
        std::fs::write(site.join("a.txt"), "hello").expect("a file");
        std::fs::write(site.join("empty.txt"), "").expect("a file");
        std::fs::write(dir.path().join("outside.txt"), "secret").expect("a file");
        std::os::unix::fs::symlink("../outside.txt", site.join("link.txt")).expect("a link");
        std::os::unix::fs::symlink("a.txt", site.join("inside.txt")).expect("a link");
        let made = std::process::Command::new("mkfifo").arg(site.join("pipe.txt")).status();
        let with = |change: fn(&mut rr_config::StaticFiles)| {
            let mut config = config(&site);
            change(&mut config);
            StaticFiles::new(&config).expect("files").site
        };
        let plain = with(|_| ());
        assert!(plain.find("a.txt").is_some() && plain.find("inside.txt").is_some());
        assert!(made.is_ok_and(|status| status.success()));
        for name in ["none.txt", "sub.txt", "link.txt", "pipe.txt", "a.txt/b.txt"] {
            assert!(plain.find(name).is_none(), "{name}");
        }
        assert!(with(|config| config.symlinks = true).find("link.txt").is_some());

        let shown = |site: &Site, name: &str| match site.find(name).expect("a file").tag {
            Tag::Usual => "usual".to_owned(),
            Tag::None => "none".to_owned(),
            Tag::Is(tag) => tag.to_str().expect("text").to_owned(),
        };
        assert_eq!(shown(&plain, "a.txt"), "usual");
        let tagged = with(|config| config.calculate_etag = true);
        let tag = shown(&tagged, "a.txt");
        assert!(tag.starts_with("\"5-"), "{tag}");
        assert_eq!((shown(&tagged, "empty.txt"), shown(&tagged, "a.txt")), ("none".to_owned(), tag));
        let weak = with(|config| (config.calculate_etag, config.weak) = (true, true));
        assert_eq!(shown(&weak, "a.txt"), etag::weak("a.txt"));
    }

    #[test]
    fn a_folder_that_is_not_there_is_said() {
        let dir = tempfile::tempdir().expect("a folder");
        let error = StaticFiles::new(&config(&dir.path().join("none"))).expect_err("no folder");
        assert!(error.starts_with("http.static.dir: /") && error.contains("No such file"), "{error}");
        std::fs::write(dir.path().join("file"), "").expect("a file");
        let error = StaticFiles::new(&config(&dir.path().join("file"))).expect_err("no folder");
        assert!(error.ends_with("is no folder"), "{error}");
    }
}
