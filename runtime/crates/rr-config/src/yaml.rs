//! Text to tree: turns the parser's events into nodes with positions, and refuses what a settings file has
//! no use for: endless nesting, exploding aliases, doubled keys, several documents. Knows no key but `<<`.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

use crate::error::{ConfigError, Position, Step};
use crate::node::{MAX_DEPTH, Map, Node, Value};
use crate::scalar;

/// How big a settings file may be, in bytes.
pub const MAX_SIZE: usize = 1 << 20;
/// How many values a file may hold; far beyond any real one, and it bounds all later work.
const MAX_NODES: usize = 1 << 16;
/// What anchors and aliases may copy altogether, in bytes of text plus `NODE_WEIGHT` per value.
const MAX_COPIED: usize = 4 << 20;
const NODE_WEIGHT: usize = 64;

/// Parses one YAML (or JSON) document. An empty one is an empty map.
pub fn parse(source: &str, text: &str) -> Result<Node, ConfigError> {
    let source: Arc<str> = source.into();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > MAX_SIZE {
        let message =
            format!("the file is bigger than {} KiB, which no settings file should be", MAX_SIZE >> 10);
        return Err(ConfigError::new(Step::Parse, Position { source, line: 0 }, "", message));
    }
    let read = |text: &str| {
        let parser = Parser::new_from_str(text);
        let source = Arc::clone(&source);
        Builder { parser, source, anchors: HashMap::new(), copied: 0, nodes: 0 }.document()
    };
    read(text).or_else(|error| read(&deeper(text)).map_err(|_| error))
}

/// The text with the lines inside brackets and quotes indented more than the line that opens them. YAML wants that and
/// RoadRunner's parser does not, nor do people; within them blanks at the beginning of a line mean nothing.
fn deeper(text: &str) -> String {
    // A file of empty lines must not become a big one.
    const MOST: usize = 64;
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let (mut depth, mut quote, mut opened) = (0_usize, None, 0);
    // The indentation of a key whose value is a text of whole lines.
    let mut literal = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches(' ').len();
        if literal.is_some_and(|key| indent > key || line.trim().is_empty()) {
            out.push_str(line);
            continue;
        }
        literal = None;
        if depth > 0 || quote.is_some() {
            out.extend(std::iter::repeat_n(' ', (opened + 1).min(MOST)));
        } else {
            opened = indent;
        }
        out.push_str(line);
        // Whether a value may begin here, and the character before.
        let (mut fresh, mut before) = (true, ' ');
        let mut rest = line.chars().peekable();
        while let Some(char) = rest.next() {
            let next = rest.peek().copied().unwrap_or(' ');
            match (quote, char) {
                (Some('"'), '\\') => drop(rest.next()),
                (Some('\''), '\'') if next == '\'' => drop(rest.next()),
                (Some(mark), _) => {
                    if mark == char {
                        quote = None;
                    }
                }
                (None, '#') if before.is_whitespace() => break,
                (None, '"' | '\'') if fresh => (quote, fresh) = (Some(char), false),
                (None, '[' | '{') if fresh || depth > 0 => (depth, fresh) = (depth + 1, true),
                (None, ']' | '}') => (depth, fresh) = (depth.saturating_sub(1), false),
                (None, '|' | '>') if fresh && depth == 0 => {
                    literal = Some(indent);
                    break;
                }
                (None, ':' | '-' | '?') if next.is_whitespace() => fresh = true,
                (None, ',' | ':') if depth > 0 => fresh = true,
                (None, char) if char.is_whitespace() => {}
                (None, '&' | '!') if fresh => {
                    while rest.peek().is_some_and(|char| !char.is_whitespace()) {
                        rest.next();
                    }
                }
                (None, _) => fresh = false,
            }
            before = char;
        }
    }
    out
}

/// A value that `&name` names, with what a copy of it costs.
struct Anchor {
    node: Node,
    weight: usize,
    depth: usize,
}

struct Builder<'t> {
    parser: Parser<'t, StrInput<'t>>,
    source: Arc<str>,
    anchors: HashMap<usize, Anchor>,
    copied: usize,
    nodes: usize,
}

impl<'t> Builder<'t> {
    fn document(&mut self) -> Result<Node, ConfigError> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                // A line `---` at the end begins nothing.
                Event::DocumentStart(_) if root.is_some() => match self.next()?.0 {
                    Event::Scalar(text, ScalarStyle::Plain, 0, None) if matches!(&*text, "" | "~") => {}
                    _ => {
                        return Err(
                            self.error(span, "a second document starts here, only one is allowed; remove it")
                        );
                    }
                },
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        let start = Position { source: self.source.clone(), line: 1 };
        Ok(match root {
            Some(node) if !node.is_null() => node,
            _ => Node::empty(start),
        })
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), ConfigError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let line = u32::try_from(error.marker().line()).unwrap_or(0);
                let at = Position { source: self.source.clone(), line };
                let message =
                    format!("not valid YAML: {}, column {}", error.info(), error.marker().col() + 1);
                Err(ConfigError::new(Step::Parse, at, "", message))
            }
            // The parser ends every stream with StreamEnd, after which nobody asks.
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, ConfigError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(
                self.error(span, format!("more than {MAX_NODES} values, which no settings file should have"))
            );
        }
        if depth > MAX_DEPTH {
            return Err(self.error(span, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (self.scalar(&text, style, tag.as_deref(), span)?, anchor)
            }
            Event::SequenceStart(anchor, _) => (Value::List(self.list(depth)?), anchor),
            Event::MappingStart(anchor, _) => (Value::Map(self.map(depth)?), anchor),
            Event::Alias(id) => return self.alias(id, span, depth),
            _ => return Err(self.error(span, "not valid YAML: a value was expected here")),
        };
        let node = Node { value, at: self.position(span) };
        if anchor > 0 {
            let (mut weight, mut deep) = (0, 0);
            measure(&node, 0, &mut weight, &mut deep);
            self.pay(weight, span)?;
            self.anchors.insert(anchor, Anchor { node: node.clone(), weight, depth: deep });
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, ConfigError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Map, ConfigError> {
        let mut map = Map::new();
        let mut lines: HashMap<String, u32> = HashMap::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let (key, merge) = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, style, ..) => {
                    (text.to_lowercase(), style == ScalarStyle::Plain && text == "<<")
                }
                Event::Alias(id) => match self.alias(id, span, depth)?.value {
                    Value::Str(text) => (text.to_lowercase(), false),
                    _ => return Err(self.error(span, "a key must be a plain text")),
                },
                _ => return Err(self.error(span, "a key must be a plain text, not a list or a map")),
            };
            let line = self.position(span).line;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            if merge {
                merged.push(value);
                continue;
            }
            if let Some(first) = lines.insert(key.clone(), line) {
                let at = Position { source: self.source.clone(), line };
                let message =
                    format!("the key {key:?} is given twice, first on line {first}; keep one of them");
                return Err(ConfigError::new(Step::Parse, at, "", message));
            }
            map.push(key, value);
        }
        for node in merged {
            self.merge(&mut map, node)?;
        }
        Ok(map)
    }

    /// `<<: *base` or `<<: [*one, *two]`: adds what the map does not say itself; of two bases the first
    /// wins.
    fn merge(&self, map: &mut Map, base: Node) -> Result<(), ConfigError> {
        match base.value {
            Value::Map(base) => map.join(base, |_, _| {}),
            Value::List(bases) if bases.iter().all(|base| base.as_map().is_some()) => {
                bases.into_iter().try_for_each(|base| self.merge(map, base))?;
            }
            _ => {
                return Err(ConfigError::new(Step::Parse, base.at, "", "`<<` takes a map or a list of maps"));
            }
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, span: Span, depth: usize) -> Result<Node, ConfigError> {
        let Some((weight, deep)) = self.anchors.get(&id).map(|anchor| (anchor.weight, anchor.depth)) else {
            return Err(self.error(span, "this alias stands inside the very value it names"));
        };
        // Aliases of aliases get deeper without any bracket being open.
        if depth + deep > MAX_DEPTH {
            return Err(self.error(span, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.pay(weight, span)?;
        match self.anchors.get(&id) {
            Some(anchor) => Ok(anchor.node.clone()),
            None => Err(self.error(span, "unknown alias")),
        }
    }

    fn pay(&mut self, weight: usize, span: Span) -> Result<(), ConfigError> {
        self.copied += weight;
        if self.copied > MAX_COPIED {
            return Err(self.error(span, "aliases repeat too much; write the values out"));
        }
        Ok(())
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<Value, ConfigError> {
        let kind = match tag {
            Some(tag) if tag.is_yaml_core_schema() => tag.suffix.as_str(),
            Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => "str",
            _ => "",
        };
        let fits = match (kind, scalar::resolve(text)) {
            ("str", _) => return Ok(Value::Str(text.into())),
            ("", value) if style == ScalarStyle::Plain => return Ok(value),
            ("int", value @ Value::Int(_)) | ("bool", value @ Value::Bool(_)) => Some(value),
            ("null", value @ Value::Null) | ("float", value @ Value::Float(_)) => Some(value),
            ("float", Value::Int(number)) => Some(Value::Float(number as f64)),
            ("int" | "bool" | "null" | "float", _) => None,
            _ => Some(Value::Str(text.into())),
        };
        fits.ok_or_else(|| self.error(span, format!("{text:?} is not what its tag `!!{kind}` promises")))
    }

    fn position(&self, span: Span) -> Position {
        Position { source: self.source.clone(), line: u32::try_from(span.start.line()).unwrap_or(0) }
    }

    fn error(&self, span: Span, message: impl Into<String>) -> ConfigError {
        ConfigError::new(Step::Parse, self.position(span), "", message)
    }
}

fn measure(node: &Node, depth: usize, weight: &mut usize, deepest: &mut usize) {
    *weight += NODE_WEIGHT;
    *deepest = depth.max(*deepest);
    match &node.value {
        Value::Str(text) => *weight += text.len(),
        Value::List(items) => items.iter().for_each(|item| measure(item, depth + 1, weight, deepest)),
        Value::Map(map) => {
            for (key, item) in map.iter() {
                *weight += key.len();
                measure(item, depth + 1, weight, deepest);
            }
        }
        _ => {}
    }
}
