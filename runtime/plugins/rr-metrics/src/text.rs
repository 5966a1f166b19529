//! The text that Prometheus reads, version 0.0.4.

use crate::definition::Kind;
use std::fmt::Write;

/// What is given out; families are put one behind the other.
#[derive(Debug, Default)]
pub struct Page {
    out: String,
}

impl Page {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { out: String::with_capacity(bytes) }
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }

    /// The head of a family; its samples follow.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        if !help.is_empty() {
            self.out.push_str("# HELP ");
            self.out.push_str(name);
            self.out.push(' ');
            escape(&mut self.out, help, false);
            self.out.push('\n');
        }
        self.out.push_str("# TYPE ");
        self.out.push_str(name);
        self.out.push(' ');
        self.out.push_str(kind.name());
        self.out.push('\n');
    }

    /// A sample with labels and their values.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let mut rendered = String::new();
        for (index, (label, value)) in labels.iter().enumerate() {
            put_label(&mut rendered, index > 0, label, value);
        }
        self.line(name, "", &rendered, None, value);
    }

    /// A line: `name end {labels, extra} value`. `labels` is what [`put_label`] has made.
    pub(crate) fn line(
        &mut self,
        name: &str,
        end: &str,
        labels: &str,
        extra: Option<(&str, &str)>,
        value: f64,
    ) {
        self.out.push_str(name);
        self.out.push_str(end);
        if !labels.is_empty() || extra.is_some() {
            self.out.push('{');
            self.out.push_str(labels);
            if let Some((label, value)) = extra {
                put_label(&mut self.out, !labels.is_empty(), label, value);
            }
            self.out.push('}');
        }
        self.out.push(' ');
        put_number(&mut self.out, value);
        self.out.push('\n');
    }
}

/// Appends `label="value"`.
pub(crate) fn put_label(out: &mut String, follows: bool, label: &str, value: &str) {
    if follows {
        out.push(',');
    }
    out.push_str(label);
    out.push_str("=\"");
    escape(out, value, true);
    out.push('"');
}

fn escape(out: &mut String, text: &str, quote: bool) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quote => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

/// The number as Prometheus reads it.
pub(crate) fn number(value: f64) -> String {
    let mut out = String::new();
    put_number(&mut out, value);
    out
}

fn put_number(out: &mut String, value: f64) {
    // Above this the neighbours of a floating point number are no longer whole numbers.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    // Writing to a String cannot fail.
    let _ = if value.is_nan() {
        out.write_str("NaN")
    } else if value.is_infinite() {
        out.write_str(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else if value.fract() == 0.0 && value.abs() < WHOLE {
        write!(out, "{}", value as i64)
    } else if value.abs() >= 1e21 || value.abs() < 1e-6 {
        write!(out, "{value:e}")
    } else {
        write!(out, "{value}")
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_prometheus_reads_them() {
        let written = [0.0, -1.0, 0.1, 1e-9, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(number);
        assert_eq!(written, ["0", "-1", "0.1", "1e-9", "1e300", "NaN", "+Inf", "-Inf"]);
    }

    #[test]
    fn help_and_labels_are_escaped() {
        let mut page = Page::default();
        page.family("x", Kind::Gauge, "a \"b\" \\ c\nd");
        page.sample("x", &[("l", "a \"b\" \\ c\nd"), ("m", "")], 1.5);
        assert_eq!(
            page.finish(),
            "# HELP x a \"b\" \\\\ c\\nd\n# TYPE x gauge\nx{l=\"a \\\"b\\\" \\\\ c\\nd\",m=\"\"} 1.5\n"
        );
    }
}
