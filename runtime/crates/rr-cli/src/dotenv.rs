//! Files of variables (CFG-01, CFG-03), read as godotenv 1.5 reads them: `NAME=value` or `NAME: value`, `export` in front,
//! quotes over several lines, comments, and `$NAME` for what the file has set before.

use std::collections::HashMap;

/// Bytes of a file.
pub(crate) const MAX_SIZE: u64 = 1 << 20;
/// Bytes of all values: a few lines that name each other could stand for more than there is memory.
const MAX_VALUES: usize = 4 << 20;

/// The variables of a text, in its order.
///
/// # Errors
/// What is wrong, with the line.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    if text.contains('\0') {
        return Err("a zero byte, so it is no text".to_owned());
    }
    let text = text.replace("\r\n", "\n");
    let mut rest = text.as_str();
    let (mut variables, mut known, mut total) = (Vec::new(), HashMap::new(), 0);
    while let Some(statement) = statement(rest) {
        let line = || 1 + text[..text.len() - statement.len()].matches('\n').count();
        let (name, value) = name(statement).map_err(|wrong| format!("line {}: {wrong}", line()))?;
        let (value, left) = value_of(value, &known).map_err(|wrong| format!("line {}: {wrong}", line()))?;
        total += value.len();
        if total > MAX_VALUES {
            return Err(format!("line {}: {TOO_MUCH}", line()));
        }
        known.insert(name.to_owned(), value.clone());
        variables.push((name.to_owned(), value));
        rest = left;
    }
    Ok(variables)
}

const TOO_MUCH: &str = "the values are bigger than 4 MiB";

/// Reads anything; must not panic.
pub fn fuzz(text: &str) {
    let _ = parse(text);
}

/// White space that ends no line.
fn is_space(letter: char) -> bool {
    matches!(letter, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

/// What is left from the next statement on.
fn statement(mut rest: &str) -> Option<&str> {
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        if !rest.starts_with('#') {
            return Some(rest);
        }
        rest = &rest[rest.find('\n')?..];
    }
}

/// A name, and what follows its sign.
fn name(statement: &str) -> Result<(&str, &str), String> {
    let start = match statement.strip_prefix("export") {
        Some(rest) if rest.starts_with(is_space) => rest.trim_start_matches(is_space),
        _ => statement,
    };
    for (at, letter) in start.char_indices() {
        match letter {
            '=' | ':' if at == 0 => return Err("a value without a name".to_owned()),
            '=' | ':' => return Ok((start[..at].trim_end(), start[at + 1..].trim_start_matches(is_space))),
            '_' | '.' => {}
            letter if letter.is_alphanumeric() || is_space(letter) => {}
            '\n' => break,
            letter => return Err(format!("unexpected character {letter:?} in a variable name")),
        }
    }
    let line = start.lines().next().unwrap_or_default();
    Err(format!("expected NAME=value, got {line:?}"))
}

/// A value, and what follows it.
fn value_of<'a>(text: &'a str, known: &HashMap<String, String>) -> Result<(String, &'a str), String> {
    let quote = text.chars().next().filter(|first| matches!(first, '"' | '\''));
    let Some(quote) = quote else {
        let end = text.find(['\n', '\r']).unwrap_or(text.len());
        let line = &text[..end];
        let mut before = None;
        let comment = line.char_indices().find(|(_, letter)| {
            let begins = *letter == '#' && before.is_some_and(is_space);
            before = Some(*letter);
            begins
        });
        let value = comment.map_or(line, |(at, _)| &line[..at]);
        return Ok((expand(value.trim_matches(is_space), known)?, &text[end..]));
    };
    let mut before = quote;
    for (at, letter) in text.char_indices().skip(1) {
        if letter == quote && before != '\\' {
            let value = text[..at].trim_matches(quote);
            let value = if quote == '"' { expand(&unescape(value), known)? } else { value.to_owned() };
            return Ok((value, &text[at + 1..]));
        }
        before = letter;
    }
    Err("a quoted value that does not end".to_owned())
}

/// `\n` and `\r` are line ends; any other letter stands for itself, and `\$` stays for what comes next.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, false) => out.push(letter),
            _ => match letters.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('$') => out.push_str("\\$"),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
        }
    }
    out
}

/// `$NAME` and `${NAME}` of what the file has set before; `\$` is a dollar.
fn expand(text: &str, known: &HashMap<String, String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        if let Some(before) = before.strip_suffix('\\') {
            out.push_str(before);
            out.push('$');
            rest = after;
            continue;
        }
        out.push_str(before);
        let inner = after.strip_prefix('(').unwrap_or(after);
        let inner = inner.strip_prefix('{').unwrap_or(inner);
        let is_name = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
        let end = inner.find(|letter| !is_name(letter)).unwrap_or(inner.len());
        if end == 0 {
            out.push('$');
            rest = after;
            continue;
        }
        out.push_str(known.get(&inner[..end]).map_or("", String::as_str));
        if out.len() > MAX_VALUES {
            return Err(TOO_MUCH.to_owned());
        }
        rest = inner[end..].strip_prefix('}').unwrap_or(&inner[end..]);
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap_or_else(|wrong| panic!("{text:?}: {wrong}"))
    }

    #[test]
    fn cfg_01_lines_are_read_as_godotenv_reads_them() {
        for (text, value) in [
            ("A=b", "b"),
            ("A = b ", "b"),
            ("export A=b", "b"),
            ("A: b", "b"),
            ("A=My App", "My App"),
            ("A=My App # and more # words", "My App"),
            ("A=b#c", "b#c"),
            ("A=#c", "#c"),
            (r#"A={"a": 1}"#, r#"{"a": 1}"#),
            ("A=it's", "it's"),
            (r#"A="a b" # c"#, "a b"),
            (r#"A="a\nb\"c""#, "a\nb\"c"),
            ("A='a\\nb $X'", "a\\nb $X"),
            ("A=\"a\nb\"", "a\nb"),
            ("A=", ""),
            ("A=\"\"", ""),
            ("A=base64:abc==", "base64:abc=="),
            ("A=a\\$b", "a$b"),
            ("A=$NONE-", "-"),
            ("A=a$", "a$"),
            ("\u{a0}A=ü", "ü"),
        ] {
            assert_eq!(read(text), [("A".to_owned(), value.to_owned())], "{text:?}");
        }
        assert_eq!(
            read("# c\r\n\r\nA=1\r\nB=${A}2$A\r\nC='$A'\n"),
            [
                ("A".to_owned(), "1".to_owned()),
                ("B".to_owned(), "121".to_owned()),
                ("C".to_owned(), "$A".to_owned()),
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        assert_eq!(
            parse("A=1\n\nA-B=2"),
            Err("line 3: unexpected character '-' in a variable name".to_owned())
        );
        assert_eq!(parse("A=1\nB=\"2"), Err("line 2: a quoted value that does not end".to_owned()));
        assert_eq!(parse("A=1\nhello\nB=2"), Err("line 2: expected NAME=value, got \"hello\"".to_owned()));
    }

    #[test]
    fn a_few_lines_cannot_stand_for_all_of_memory() {
        let mut text = "A=0123456789\n".to_owned();
        (0..60).for_each(|_| text.push_str("A=$A$A$A$A\n"));
        assert!(parse(&text).expect_err("refused").ends_with(TOO_MUCH));
    }

    proptest! {
        #[test]
        fn anything_is_read_without_a_panic(text in "[A-Za-z0-9_$(){}=: '\"#\\\\\n\rü\u{85}-]{0,80}") {
            fuzz(&text);
        }

        #[test]
        fn what_is_written_in_quotes_comes_back(value in "[ -~ü\n]{0,40}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
            prop_assume!(!value.ends_with(['\\', '"']) && !value.starts_with('"') && !value.contains("\\\""));
            prop_assert_eq!(read(&format!("A=\"{quoted}\"\nB=1")).remove(0).1, value);
        }
    }
}
