//! Errors that come as PHP's own text: of an app that does not boot, and of workers that could say no more.

use rr_wire::report::{Error, Frame, Report};

/// Reads as much as there is to be read from a text; the whole text is the message otherwise.
pub(crate) fn report(text: &str) -> Report {
    // PHP tells the oldest first.
    let mut parts = text.split("\n\nNext ").map(str::to_owned).collect::<Vec<_>>();
    if let [first, .., last] = parts.as_mut_slice()
        && let Some((_, rest)) = first.split_once("Uncaught ")
    {
        *first = rest.to_owned();
        if let Some((kept, _)) = last.rsplit_once("\n  thrown in ") {
            *last = kept.to_owned();
        }
        return Report { errors: parts.iter().rev().map(|part| error(part)).collect(), facts: Vec::new() };
    }
    Report { errors: vec![error(text)], facts: Vec::new() }
}

const KINDS: [&str; 6] =
    ["Parse error", "Fatal error", "Warning", "Recoverable fatal error", "Core error", "Compile error"];

fn error(text: &str) -> Error {
    let text = text.trim();
    let text = text.strip_prefix("PHP failed:\n").unwrap_or(text).trim();
    // The last message is the one that ended it.
    let found = KINDS.iter().filter_map(|kind| {
        let mark = format!("{kind}:");
        let at = text.rfind(&mark)?;
        Some((at, *kind, text[at + mark.len()..].trim()))
    });
    let (mut class, rest) = match found.filter(|(_, kind, _)| *kind != "Warning").max_by_key(|(at, ..)| *at) {
        Some((_, kind, rest)) => (kind.to_owned(), rest),
        None => (String::new(), text),
    };
    let mut rest = rest;
    let uncaught = rest.strip_prefix("Uncaught ");
    if uncaught.is_some() || class.is_empty() {
        let own = uncaught.unwrap_or(rest);
        let head = own.split_once(": ").filter(|(head, _)| is_class(head));
        if let Some((head, tail)) = head {
            (class, rest) = (head.to_owned(), tail);
        }
    }
    let (head, trace) = match rest.split_once("\nStack trace:\n") {
        Some((head, trace)) => (head, trace),
        None => (rest, ""),
    };
    let (message, file, line) = place(head).unwrap_or((head.to_owned(), String::new(), 0));
    let frames = trace.lines().filter_map(frame).collect();
    if class.is_empty() {
        class = "Error".to_owned();
    }
    Error { class, message, code: String::new(), file, line, frames }
}

fn is_class(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|char| char.is_alphanumeric() || char == '_' || char == '\\')
}

/// `message in /file.php on line 5` and `message in /file.php:5`.
fn place(text: &str) -> Option<(String, String, u32)> {
    let first = text.rfind(" in /").or_else(|| text.rfind(" in phar:"))?;
    let (message, rest) = (&text[..first], &text[first + 4..]);
    let rest = rest.lines().next().unwrap_or_default();
    let (file, line) = match rest.split_once(" on line ") {
        Some((file, line)) => (file, line),
        None => rest.rsplit_once(':')?,
    };
    let digits: String = line.chars().take_while(char::is_ascii_digit).collect();
    Some((message.to_owned(), file.to_owned(), digits.parse().ok()?))
}

/// `#0 /file.php(5): App->run()`, `#1 [internal function]: {closure}()`.
fn frame(text: &str) -> Option<Frame> {
    let (_, rest) = text.strip_prefix('#')?.split_once(' ')?;
    if let Some(call) = rest.strip_prefix("[internal function]: ") {
        return Some(Frame { call: call.to_owned(), ..Frame::default() });
    }
    let (place, call) = rest.split_once("): ")?;
    let (file, line) = place.rsplit_once('(')?;
    Some(Frame { file: file.to_owned(), line: line.parse().ok()?, call: call.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phps_own_texts_are_read() {
        let parse = error(
            "PHP failed:\nPHP Parse error:  syntax error, unexpected token \"]\" in /app/a.php on line 3",
        );
        assert_eq!(parse.class, "Parse error");
        assert_eq!(parse.message, "syntax error, unexpected token \"]\"");
        assert_eq!((parse.file.as_str(), parse.line), ("/app/a.php", 3));
        let thrown = error(
            "PHP Warning:  x in /app/z.php on line 1\nPHP Fatal error:  Uncaught App\\Bad: no: way in /app/b.php:12\n\
             Stack trace:\n#0 /app/c.php(4): App\\B->run(1)\n#1 [internal function]: {closure}()\n#2 {main}\n  \
             thrown in /app/b.php on line 12",
        );
        assert_eq!((thrown.class.as_str(), thrown.message.as_str()), ("App\\Bad", "no: way"));
        assert_eq!((thrown.file.as_str(), thrown.line), ("/app/b.php", 12));
        assert_eq!(thrown.frames.len(), 2);
        assert_eq!(thrown.frames[0].call, "App\\B->run(1)");
        let text = error("RuntimeException: gone in /a.php:4\nStack trace:\n#0 {main}");
        assert_eq!((text.class.as_str(), text.message.as_str(), text.line), ("RuntimeException", "gone", 4));
        let chain = report(
            "PHP Fatal error:  Uncaught A: one in /a.php:1\nStack trace:\n#0 {main}\n\nNext B: two in /b.php:2\n\
             Stack trace:\n#0 /c.php(3): f()\n#1 {main}\n  thrown in /b.php on line 2",
        );
        let names: Vec<_> = chain.errors.iter().map(|error| (error.class.as_str(), error.line)).collect();
        assert_eq!(names, [("B", 2), ("A", 1)]);
        assert_eq!((chain.errors[0].message.as_str(), chain.errors[0].frames.len()), ("two", 1));
        let bare = error("the handler must return RoadRunner\\Response");
        assert_eq!((bare.class.as_str(), bare.line), ("Error", 0));
        assert_eq!(bare.message, "the handler must return RoadRunner\\Response");
    }
}
