//! `http.error_pages`: files that are sent in place of the server's short texts for failures. Read at the start and at
//! each reload, never while a request waits.

use bytes::Bytes;
use parking_lot::Mutex;
use rr_config::{ErrorPage, PageOf};
use std::path::{Path, PathBuf};

/// Larger pages are a mistake.
const MAX_SIZE: u64 = 1 << 20;

#[derive(Debug, Clone)]
struct Ready {
    status: PageOf,
    kind: String,
    body: Bytes,
}

/// The pages, read.
#[derive(Debug, Default)]
pub struct ErrorPages {
    pages: Mutex<Vec<Ready>>,
}

impl ErrorPages {
    /// Reads the files of `config`; relative ones are below `base`. On an error the pages stay as they were.
    ///
    /// # Errors
    /// A file cannot be read or is too large; the text names key and file.
    pub fn read(&self, base: &Path, config: &[ErrorPage]) -> Result<(), String> {
        let pages = config.iter().map(|page| read(base, page)).collect::<Result<_, _>>()?;
        *self.pages.lock() = pages;
        Ok(())
    }

    /// The content type and the body for a status.
    pub(crate) fn of(&self, status: u16) -> Option<(String, Bytes)> {
        let pages = self.pages.lock();
        let page = pages.iter().find(|page| page.status.covers(status))?;
        Some((page.kind.clone(), page.body.clone()))
    }
}

fn read(base: &Path, page: &ErrorPage) -> Result<Ready, String> {
    let path: PathBuf = base.join(&page.file);
    let wrong = |what: String| format!("http.error_pages: {}: {what}", path.display());
    let meta = path.metadata().map_err(|error| wrong(error.to_string()))?;
    if !meta.is_file() {
        return Err(wrong("is no file".to_owned()));
    }
    if meta.len() > MAX_SIZE {
        return Err(wrong(format!("is larger than {} KiB", MAX_SIZE >> 10)));
    }
    let body = std::fs::read(&path).map_err(|error| wrong(error.to_string()))?;
    let kind = mime_guess::from_path(&path).first_or_octet_stream();
    let charset = kind.type_() == "text" || kind.subtype() == "json";
    let kind = if charset { format!("{kind}; charset=utf-8") } else { kind.to_string() };
    Ok(Ready { status: page.status, kind, body: Bytes::from(body) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_page_answers() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("a.html"), "<b>").expect("a file");
        std::fs::write(dir.path().join("b.json"), "{}").expect("a file");
        let page = |status, file: &str| ErrorPage { status, file: file.to_owned() };
        let pages = ErrorPages::default();
        let config = [page(PageOf::Status(404), "a.html"), page(PageOf::Class(5), "b.json")];
        pages.read(dir.path(), &config).expect("reads");
        assert_eq!(pages.of(404), Some(("text/html; charset=utf-8".to_owned(), Bytes::from("<b>"))));
        assert_eq!(pages.of(502).map(|(kind, _)| kind), Some("application/json; charset=utf-8".to_owned()));
        assert_eq!(pages.of(413), None);
        let error = pages.read(dir.path(), &[page(PageOf::Any, "none.html")]).expect_err("no file");
        assert!(
            error.starts_with("http.error_pages: /") && error.contains("none.html: No such file"),
            "{error}"
        );
        assert!(pages.of(404).is_some(), "the pages stay");
        std::fs::write(dir.path().join("big"), vec![b' '; 2 << 20]).expect("a file");
        assert!(pages.read(dir.path(), &[page(PageOf::Any, "big")]).is_err());
        assert!(pages.read(dir.path(), &[page(PageOf::Any, ".")]).is_err());
    }
}
