//! Splits Rust source into code and comments, line by line. Strings and characters are emptied, so that a word in
//! the code is a word of the code. Knows nothing of what is looked for.

/// A line of source.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// The code; literals are empty, comments are not there.
    pub(super) code: String,
    /// The text of all comments on the line, with their markers.
    pub(super) comment: String,
}

impl Line {
    /// Nothing but comments, attributes or blanks.
    pub(super) fn is_aside(&self) -> bool {
        let code = self.code.trim();
        code.is_empty() || code.starts_with("#[") || code.starts_with("#![")
    }
}

enum State {
    Code,
    LineComment,
    /// Nested this deep.
    BlockComment(usize),
    Text,
    /// Ends at a quote with this many hashes.
    RawText(usize),
}

/// The lines of a source text.
pub(super) fn split(source: &str) -> Vec<Line> {
    let chars: Vec<char> = source.chars().collect();
    let mut lines = Vec::new();
    let mut line = Line::default();
    let mut state = State::Code;
    let mut at = 0;
    while let Some(&char) = chars.get(at) {
        let next = chars.get(at + 1).copied();
        let mut length = 1;
        if char == '\n' {
            if matches!(state, State::LineComment) {
                state = State::Code;
            }
            lines.push(std::mem::take(&mut line));
            at += 1;
            continue;
        }
        match state {
            State::Code => match (char, next) {
                ('/', Some('/')) => {
                    line.comment.push('/');
                    state = State::LineComment;
                }
                ('/', Some('*')) => {
                    line.comment.push_str("/*");
                    length = 2;
                    state = State::BlockComment(1);
                }
                ('"', _) => {
                    line.code.push('"');
                    state = State::Text;
                }
                ('r', Some('"' | '#')) if !follows_word(&chars, at) => {
                    let hashes = chars[at + 1..].iter().take_while(|char| **char == '#').count();
                    if chars.get(at + 1 + hashes) == Some(&'"') {
                        line.code.push('"');
                        length = hashes + 2;
                        state = State::RawText(hashes);
                    } else {
                        line.code.push(char);
                    }
                }
                ('\'', _) => {
                    length = char_literal(&chars[at..]).unwrap_or(1);
                    line.code.push('\'');
                }
                _ => line.code.push(char),
            },
            State::LineComment => line.comment.push(char),
            State::BlockComment(depth) => {
                let depth = match (char, next) {
                    ('/', Some('*')) => depth + 1,
                    ('*', Some('/')) => depth - 1,
                    _ => {
                        line.comment.push(char);
                        at += 1;
                        continue;
                    }
                };
                line.comment.extend([char].into_iter().chain(next));
                length = 2;
                state = if depth == 0 { State::Code } else { State::BlockComment(depth) };
            }
            // An escaped line break must still end the line.
            State::Text if char == '\\' && next != Some('\n') => length = 2,
            State::Text if char == '"' => {
                line.code.push('"');
                state = State::Code;
            }
            State::Text => {}
            State::RawText(hashes) => {
                let closed = char == '"' && (1..=hashes).all(|hash| chars.get(at + hash) == Some(&'#'));
                if closed {
                    line.code.push('"');
                    length = hashes + 1;
                    state = State::Code;
                }
            }
        }
        at += length;
    }
    if line != Line::default() {
        lines.push(line);
    }
    lines
}

/// Whether the `r` here is the end of a longer word; the `b` and `c` of `br""` and `cr""` are no word.
fn follows_word(chars: &[char], at: usize) -> bool {
    let word: Vec<char> = chars[..at].iter().rev().take_while(|char| is_word(**char)).copied().collect();
    !matches!(word[..], [] | ['b' | 'c'])
}

/// The length of the character literal that begins here; `None`: it is a lifetime or a label.
fn char_literal(chars: &[char]) -> Option<usize> {
    match chars.get(1)? {
        '\\' => chars.iter().skip(3).position(|char| *char == '\'').map(|end| end + 4),
        _ => (chars.get(2) == Some(&'\'')).then_some(3),
    }
}

/// Whether the character can be part of a name.
pub(super) fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// Where `word` stands in `text` as a word of its own.
pub(super) fn find_words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = text[..*at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::{find_words, split};

    fn code(source: &str) -> Vec<String> {
        split(source).into_iter().map(|line| line.code).collect()
    }

    fn comments(source: &str) -> Vec<String> {
        split(source).into_iter().map(|line| line.comment).collect()
    }

    #[test]
    fn comments_are_taken_out() {
        assert_eq!(code("a // unsafe\nb /* c\nd /* e */ f */ g"), ["a ", "b ", " g"]);
        assert_eq!(comments("a // b\n/// c\n/* d\ne */"), ["// b", "/// c", "/* d", "e */"]);
    }

    #[test]
    fn literals_are_emptied() {
        assert_eq!(code(r#"f("unsafe // no", 'x', '\'', '"', b"\"unsafe")"#), [r#"f("", ', ', ', b"")"#]);
        assert_eq!(code("r#\"unsafe \" {\"#; br\"\\\"; x"), ["\"\"; b\"\"; x"]);
        assert_eq!(code("\"two\\\nlines // \" y"), ["\"", "\" y"]);
    }

    #[test]
    fn lifetimes_labels_and_raw_names_are_code() {
        assert_eq!(
            code("fn f<'a>(x: &'a str) { 'l: loop {} } // z"),
            ["fn f<'a>(x: &'a str) { 'l: loop {} } "]
        );
        assert_eq!(code("r#loop + bar\"x\""), ["r#loop + bar\"\""]);
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(
            find_words("unsafe unsafe_code an_unsafe (unsafe)", "unsafe").collect::<Vec<_>>(),
            [0, 30]
        );
    }
}
