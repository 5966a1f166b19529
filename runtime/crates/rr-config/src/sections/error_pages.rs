//! `http.error_pages`: which file is the body of which failure. Owns the keys; the files are read by the server.

use crate::decode::{Decoder, Kind};
use crate::kinds::weak_text;
use crate::node::{Node, Value};
use crate::schema::Schema;

/// A page: which answers it is for, and its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorPage {
    /// What it stands for.
    pub status: PageOf,
    /// The file, as written.
    pub file: String,
}

/// What a page stands for, the narrowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PageOf {
    /// One status, 400 to 599.
    Status(u16),
    /// 4 or 5: all that begin with it.
    Class(u16),
    /// Every failure.
    Any,
}

impl PageOf {
    fn parse(key: &str) -> Option<Self> {
        match key.trim().to_ascii_lowercase().as_str() {
            "default" => Some(Self::Any),
            "4xx" => Some(Self::Class(4)),
            "5xx" => Some(Self::Class(5)),
            text => text.parse().ok().filter(|status| (400..=599).contains(status)).map(Self::Status),
        }
    }

    /// Whether it stands for `status`.
    pub fn covers(self, status: u16) -> bool {
        match self {
            Self::Status(own) => own == status,
            Self::Class(own) => own == status / 100,
            Self::Any => status >= 400,
        }
    }
}

/// A map of statuses to files, sorted by what it covers.
pub(crate) struct Pages;

impl Kind<Vec<ErrorPage>> for Pages {
    fn name(&self) -> String {
        "map of status to file".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Vec<ErrorPage>> {
        let Value::Map(map) = &node.value else {
            return decoder.expected(node, path, "files by status, such as {404: 404.html, 5xx: error.html}");
        };
        let mut pages = Vec::new();
        for (key, node) in map.iter().filter(|(_, node)| !node.is_null()) {
            let path = format!("{path}.{key}");
            let Some(status) = PageOf::parse(key) else {
                return decoder.wrong(&node.at, &path, "is no status: write 400 to 599, 4xx, 5xx or default");
            };
            match weak_text(node).filter(|file| !file.is_empty()) {
                Some(file) => pages.push(ErrorPage { status, file }),
                None => return decoder.expected(node, &path, "a file"),
            }
        }
        pages.sort_by_key(|page| page.status);
        Some(pages)
    }
    fn schema(&self) -> Schema {
        let statuses = "^([45][0-9][0-9]|[45][xX][xX]|default)$";
        Schema::of(serde_json::json!({
            "type": ["object", "null"], "patternProperties": {statuses: Schema::text().into_value()}, "additionalProperties": false,
        }))
    }
    fn show(&self, _: &Vec<ErrorPage>) -> String {
        String::new()
    }
}
