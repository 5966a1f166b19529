//! What a worker says of an error that ended a request, in development mode: the text of its ERROR frame is then a
//! report with the parts of the error kept apart. Pure; made by workers, which are untrusted, and read by the master.

/// Begins a report; no message of PHP's does.
const MARK: &str = "\u{1d}rr-report\u{1e}";
/// Between records, and between the fields of one.
const RECORD: char = '\u{1e}';
const FIELD: char = '\u{1f}';
/// More than this of either is not read.
const MAX_ERRORS: usize = 16;
const MAX_FRAMES: usize = 200;

/// An error, and those that led to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The error that ended the request first, then what it was thrown for, and so on. Never empty once parsed.
    pub errors: Vec<Error>,
    /// Facts about the worker: name and value.
    pub facts: Vec<(String, String)>,
}

/// One exception or fatal error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Error {
    /// The exception's class, or what PHP calls the error.
    pub class: String,
    /// The message.
    pub message: String,
    /// The exception's code; empty when it is 0 or none.
    pub code: String,
    /// Where it was raised.
    pub file: String,
    /// The line there; 0 is unknown.
    pub line: u32,
    /// The calls that led there, the innermost first.
    pub frames: Vec<Frame>,
}

/// A call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Where it stands; empty inside of PHP.
    pub file: String,
    /// The line there; 0 is unknown.
    pub line: u32,
    /// What is called: `App\Class->method()`.
    pub call: String,
}

fn put(into: &mut String, kind: char, fields: &[&str]) {
    into.push(kind);
    for field in fields {
        into.push(FIELD);
        into.extend(field.chars().filter(|char| !matches!(*char, RECORD | FIELD)));
    }
    into.push(RECORD);
}

impl Report {
    /// The text of at most `limit` bytes; calls that do not fit are left out, and long messages cut.
    #[must_use]
    pub fn encode(&self, limit: usize) -> String {
        let mut text = String::from(MARK);
        for (name, value) in &self.facts {
            put(&mut text, 'I', &[name, value]);
        }
        let share = limit / 4;
        for error in &self.errors {
            let (message, line) = (cut(&error.message, share), error.line.to_string());
            let mut next = String::new();
            put(&mut next, 'E', &[&error.class, message, &error.code, &error.file, &line]);
            if text.len() + next.len() > limit {
                break;
            }
            text.push_str(&next);
            for frame in &error.frames {
                let mut next = String::new();
                put(&mut next, 'F', &[&frame.file, &frame.line.to_string(), cut(&frame.call, 512)]);
                if text.len() + next.len() > limit {
                    break;
                }
                text.push_str(&next);
            }
        }
        text
    }

    /// Reads a report; `None` when the text is an ordinary one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut report = Self::default();
        for record in text.strip_prefix(MARK)?.split(RECORD) {
            let mut fields = record.split(FIELD);
            let kind = fields.next()?;
            let mut next = || fields.next().unwrap_or_default().to_owned();
            match kind {
                "I" => report.facts.push((next(), next())),
                "E" if report.errors.len() < MAX_ERRORS => report.errors.push(Error {
                    class: next(),
                    message: next(),
                    code: next(),
                    file: next(),
                    line: next().parse().unwrap_or(0),
                    frames: Vec::new(),
                }),
                "F" => {
                    let Some(error) = report.errors.last_mut() else { continue };
                    if error.frames.len() < MAX_FRAMES {
                        let (file, line) = (next(), next().parse().unwrap_or(0));
                        error.frames.push(Frame { file, line, call: next() });
                    }
                }
                _ => {}
            }
        }
        (!report.errors.is_empty()).then_some(report)
    }
}

fn cut(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let frame = Frame { file: "/app/b.php".to_owned(), line: 7, call: "App\\B->run()".to_owned() };
        let error = Error {
            class: "RuntimeException".to_owned(),
            message: "two\nlines".to_owned(),
            code: "5".to_owned(),
            file: "/app/a.php".to_owned(),
            line: 3,
            frames: vec![frame.clone(), frame],
        };
        let facts = vec![("PHP".to_owned(), "8.2".to_owned())];
        Report { errors: vec![error.clone(), Error { class: "Previous".to_owned(), ..error }], facts }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Report::parse(&report().encode(8192)), Some(report()));
        assert_eq!(Report::parse("RuntimeException: no report"), None);
        assert_eq!(Report::parse(MARK), None);
    }

    #[test]
    fn a_report_fits_its_limit() {
        for limit in [64, 100, 150, 200, 400] {
            let mut long = report();
            long.errors[0].message = "ü".repeat(1000);
            let text = long.encode(limit);
            assert!(text.len() <= limit, "{limit}");
            assert!(limit < 200 || Report::parse(&text).is_some(), "{limit}");
        }
    }

    #[test]
    fn separators_in_a_text_do_no_harm() {
        let mut odd = report();
        odd.errors[0].message = "a\u{1e}E\u{1f}b".to_owned();
        let read = Report::parse(&odd.encode(8192)).expect("reads");
        assert_eq!(read.errors.len(), 2);
        assert_eq!(read.errors[0].message, "aEb");
    }
}
