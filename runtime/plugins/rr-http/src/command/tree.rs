//! Forms as trees of JSON (HTTP-09, HTTP-11): `a[b]=1` is `{"a":{"b":"1"}}`, `a[]=1` a list, the last of a name wins.

use rr_wire::form::{self, Part, Parts};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Brackets of a name; deeper ones are not looked at.
const DEPTH: usize = 127;

/// Why a form is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormError {
    #[error("invalid multiple values to key '{0}' in tree")]
    Conflict(String),
    #[error("invalid semicolon separator in the form")]
    Semicolon,
    #[error("invalid URL escape {0:?} in the form")]
    Escape(String),
    #[error("a form of more than http.uploads.max_fields fields")]
    Fields,
}

/// What stands at a name.
#[derive(Debug, PartialEq)]
enum Node<T> {
    One(T),
    List(Vec<T>),
    Branch(Branch<T>),
}

/// Whether a value may give way to others.
trait Leaf {
    fn is_empty(&self) -> bool;
}

impl Leaf for String {
    fn is_empty(&self) -> bool {
        String::is_empty(self)
    }
}

/// What stands below a name.
#[derive(Debug, PartialEq)]
struct Branch<T> {
    nodes: BTreeMap<String, Node<T>>,
    /// The index of the next one without a name, as PHP counts.
    next: u64,
}

impl<T> Branch<T> {
    const fn new() -> Self {
        Self { nodes: BTreeMap::new(), next: 0 }
    }

    fn key(&mut self, key: &str) -> String {
        if key.is_empty() {
            self.next = self.next.saturating_add(1);
            return (self.next - 1).to_string();
        }
        if let Ok(index) = key.parse::<u64>() {
            self.next = self.next.max(index.saturating_add(1));
        }
        key.to_owned()
    }
}

/// The parts of a name as RoadRunner takes them apart: `a[b][]` is `a`, `b` and the empty one. A bracket alone ends a
/// part as well, and blanks are no part of it.
fn path(name: &str) -> Vec<Cow<'_, str>> {
    if !name.contains(['[', ']', ' ']) {
        return vec![name.into()];
    }
    let mut keys = vec![String::new()];
    let (mut opened, mut closed) = (false, false);
    for char in name.chars() {
        match char {
            ' ' => {}
            '[' => (opened, closed) = (true, false),
            ']' => {
                if opened {
                    keys.push(String::new());
                }
                (opened, closed) = (false, true);
            }
            other => {
                if opened || closed {
                    keys.push(String::new());
                }
                (opened, closed) = (false, false);
                if let Some(key) = keys.last_mut() {
                    key.push(other);
                }
            }
        }
    }
    keys.into_iter().map(Cow::Owned).collect()
}

fn mount<T: Leaf>(tree: &mut Branch<T>, name: &str, value: T) -> Result<(), FormError> {
    let keys = path(name);
    if keys.len() > DEPTH + 1 {
        return Ok(());
    }
    let conflict = || FormError::Conflict(keys[0].to_string());
    let mut tree = tree;
    let (last, list) = match keys.last() {
        Some(key) if key.is_empty() && keys.len() > 1 => (keys.len() - 2, true),
        _ => (keys.len() - 1, false),
    };
    for key in &keys[..last] {
        let key = tree.key(key);
        let node = tree.nodes.entry(key).or_insert_with(|| Node::Branch(Branch::new()));
        if matches!(node, Node::One(value) if value.is_empty()) {
            *node = Node::Branch(Branch::new());
        }
        let Node::Branch(branch) = node else { return Err(conflict()) };
        tree = branch;
    }
    // A form's name may be empty.
    let key = if last == 0 { keys[0].to_string() } else { tree.key(&keys[last]) };
    match tree.nodes.get_mut(&key) {
        Some(Node::Branch(_)) if value.is_empty() => {}
        Some(Node::Branch(_)) => return Err(conflict()),
        Some(Node::List(values)) if list => values.push(value),
        _ => {
            tree.nodes.insert(key, if list { Node::List(vec![value]) } else { Node::One(value) });
        }
    }
    Ok(())
}

impl<T: Serialize> Serialize for Node<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(value) => value.serialize(serializer),
            Self::List(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                values.iter().try_for_each(|value| list.serialize_element(value))?;
                list.end()
            }
            Self::Branch(branch) => serializer.collect_map(&branch.nodes),
        }
    }
}

fn json<T: Serialize>(tree: &Branch<T>) -> Vec<u8> {
    serde_json::to_vec(&tree.nodes).unwrap_or_default()
}

/// The tree of an urlencoded form; nothing for an empty one.
///
/// # Errors
/// It is malformed, contradicts itself, or has more than `limit` fields.
pub(super) fn of_pairs(body: &[u8], limit: usize) -> Result<Vec<u8>, FormError> {
    let mut tree = Branch::new();
    let mut count = 0;
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if pair.contains(&b';') {
            return Err(FormError::Semicolon);
        }
        count += 1;
        if count > limit {
            return Err(FormError::Fields);
        }
        let mark = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let value = pair.get(mark + 1..).unwrap_or_default();
        mount(&mut tree, &unescape(&pair[..mark])?, unescape(value)?)?;
    }
    Ok(if tree.nodes.is_empty() { Vec::new() } else { json(&tree) })
}

/// As Go's `url.QueryUnescape`: a wrong escape is an error, `+` is a blank.
fn unescape(text: &[u8]) -> Result<String, FormError> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(text.get(at)), digit(text.get(at + 1))) else {
                    let wrong = &text[at - 1..text.len().min(at + 2)];
                    return Err(FormError::Escape(String::from_utf8_lossy(wrong).into_owned()));
                };
                out.push((high * 16 + low).to_le_bytes()[0]);
                at += 2;
            }
            other => out.push(*other),
        }
    }
    Ok(String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// HTTP-11: a leaf of the files' tree.
struct File<'a>(form::File<'a>);

impl Leaf for File<'_> {
    fn is_empty(&self) -> bool {
        false
    }
}

impl Serialize for File<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = String::from_utf8_lossy;
        let mut map = serializer.serialize_map(Some(5))?;
        // Its folders are the client's.
        let name = self.0.file_name.rsplit(|byte| *byte == b'/').find(|part| !part.is_empty());
        map.serialize_entry("name", &text(name.unwrap_or_default()))?;
        map.serialize_entry("mime", &text(self.0.mime))?;
        map.serialize_entry("size", &self.0.size)?;
        map.serialize_entry("error", &self.0.error)?;
        map.serialize_entry("tmpName", &text(self.0.path))?;
        map.end()
    }
}

/// The trees of a multipart form's fields and files.
///
/// # Errors
/// It is malformed or contradicts itself.
pub(super) fn of_block(block: &[u8]) -> Result<(Vec<u8>, Vec<u8>), FormError> {
    let (mut fields, mut files) = (Branch::new(), Branch::new());
    // Our own block: it is sound.
    for part in Parts::new(block).map_while(Result::ok) {
        match part {
            Part::Field { name, value } => {
                let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                mount(&mut fields, &String::from_utf8_lossy(name), text(value))?;
            }
            Part::File(file) if file.error == form::GARBLED => {}
            // Where no file was chosen, Go sees a field.
            Part::File(file) if file.file_name.is_empty() => {
                mount(&mut fields, &String::from_utf8_lossy(file.name), String::new())?;
            }
            Part::File(file) => mount(&mut files, &String::from_utf8_lossy(file.name), File(file))?,
        }
    }
    let fields = if fields.nodes.is_empty() { Vec::new() } else { json(&fields) };
    Ok((fields, json(&files)))
}

/// Feeds arbitrary bytes to the parsers.
pub fn fuzz(data: &[u8]) {
    if let Ok(tree) = of_pairs(data, 1000)
        && !tree.is_empty()
    {
        assert!(serde_json::from_slice::<serde_json::Value>(&tree).is_ok() || tree.len() > 200);
    }
    let _ = of_block(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(body: &str) -> Result<String, FormError> {
        of_pairs(body.as_bytes(), 100).map(|json| String::from_utf8(json).expect("text"))
    }

    #[test]
    fn http_09_forms_are_trees() {
        for (body, json) in [
            ("a[b]=1", r#"{"a":{"b":"1"}}"#),
            ("a[]=1&a[]=2", r#"{"a":["1","2"]}"#),
            ("a=1&a=2", r#"{"a":"2"}"#),
            ("b=1&a=2", r#"{"a":"2","b":"1"}"#),
            ("a+b=1&c%20d[e f]=2", r#"{"ab":"1","cd":{"ef":"2"}}"#),
            ("a[b][]=1&a[b][]=2&a[c]=3", r#"{"a":{"b":["1","2"],"c":"3"}}"#),
            ("a[][b]=1&a[][b]=2", r#"{"a":{"0":{"b":"1"},"1":{"b":"2"}}}"#),
            ("a=&a[b]=1", r#"{"a":{"b":"1"}}"#),
            ("a[b]=1&a=", r#"{"a":{"b":"1"}}"#),
            ("a", r#"{"a":""}"#),
            ("a=%E4", "{\"a\":\"\u{fffd}\"}"),
            ("a[b=1", r#"{"a":{"b":"1"}}"#),
            ("a]=1", r#"{"a":"1"}"#),
            ("a]b=1", r#"{"a":{"b":"1"}}"#),
            ("a[b]c=1", r#"{"a":{"b":{"c":"1"}}}"#),
            ("a[=1", r#"{"a":"1"}"#),
            ("", ""),
            ("&&", ""),
        ] {
            assert_eq!(tree(body).as_deref(), Ok(json), "{body}");
        }
        let deep = format!("a{}=1", "[x]".repeat(128));
        assert_eq!(tree(&deep).as_deref(), Ok(""));
    }

    #[test]
    fn http_10_what_is_malformed_is_refused() {
        let conflict = |key: &str| Err(FormError::Conflict(key.to_owned()));
        assert_eq!(tree("a=1&a[b]=1"), conflict("a"));
        assert_eq!(tree("a[b]=1&a=1"), conflict("a"));
        assert_eq!(tree("a[]=1&a[b]=1"), conflict("a"));
        assert_eq!(tree("a=1;b=2"), Err(FormError::Semicolon));
        assert_eq!(tree("a=%zz"), Err(FormError::Escape("%zz".to_owned())));
        assert_eq!(tree(&"a=1&".repeat(101)), Err(FormError::Fields));
    }

    #[test]
    fn http_11_files_are_a_tree_of_their_own() {
        let mut block = Vec::new();
        let file = form::File {
            name: b"f[x]",
            file_name: b"../../etc/a.txt",
            mime: b"text/plain",
            path: b"/tmp/php1",
            error: 0,
            size: 3,
        };
        form::encode(&mut block, &Part::Field { name: b"a[]", value: b"<1>" }).expect("fits");
        form::encode(&mut block, &Part::File(file)).expect("fits");
        let none = form::File { name: b"n", file_name: b"", path: b"", error: 4, size: 0, ..file };
        form::encode(&mut block, &Part::File(none)).expect("fits");
        let (fields, files) = of_block(&block).expect("sound");
        assert_eq!(fields, br#"{"a":["<1>"],"n":""}"#);
        let expected =
            r#"{"f":{"x":{"name":"a.txt","mime":"text/plain","size":3,"error":0,"tmpName":"/tmp/php1"}}}"#;
        assert_eq!(files, expected.as_bytes());
    }

    proptest::proptest! {
        #[test]
        fn any_form_is_survived(text in "[a-c=&\\[\\]%+; 0-9]{0,60}") {
            fuzz(text.as_bytes());
        }
    }
}
