//! The page for browsers: one document, no scripts, nothing loaded, light or dark as the system is.

use super::{EXCERPTS, Pairs, View, place};
use crate::excerpt::Excerpt;
use rr_wire::report::Error;
use std::fmt::Write;

const STYLE: &str = include_str!("style.css");

/// Text for between tags and for quoted attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(char),
            other if other.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

pub(crate) fn render(view: &View<'_>) -> String {
    let mut out = String::with_capacity(32 * 1024);
    let main = view.main();
    let title = main.message.lines().next().unwrap_or_default();
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        escaped(&main.class),
        escaped(title)
    );
    let _ = write!(
        out,
        "<header>\n<p class=\"request\"><b>{}</b> <span>{}</span> <i>{}</i></p>\n",
        escaped(&view.seen.method),
        escaped(&view.seen.target),
        view.status
    );
    heading(&mut out, view, main, "h1");
    out.push_str("</header>\n<main>\n");
    let mut budget = EXCERPTS;
    for (index, error) in view.report.errors.iter().enumerate() {
        if index > 0 {
            out.push_str("<section class=\"previous\">\n<p class=\"because\">caused by</p>\n");
            heading(&mut out, view, error, "h2");
        } else {
            out.push_str("<section>\n");
        }
        if let Some(excerpt) = view.excerpt(&error.file, error.line, 8) {
            code(&mut out, &excerpt);
        }
        trace(&mut out, view, error, &mut budget);
        out.push_str("</section>\n");
    }
    request(&mut out, view);
    let _ = write!(
        out,
        "</main>\n<footer>PHP {} · roadrunner {} · development mode{}</footer>\n</body>\n</html>\n",
        escaped(view.php()),
        env!("CARGO_PKG_VERSION"),
        view.report
            .facts
            .iter()
            .map(|(name, value)| format!(" · {} {}", escaped(name), escaped(value)))
            .collect::<String>()
    );
    out
}

fn heading(out: &mut String, view: &View<'_>, error: &Error, tag: &str) {
    let code = match error.code.as_str() {
        "" => String::new(),
        code => format!(" <small>code {}</small>", escaped(code)),
    };
    let (space, name) = match error.class.rsplit_once('\\') {
        Some((space, name)) => (format!("{space}\\"), name),
        None => (String::new(), error.class.as_str()),
    };
    let _ = write!(
        out,
        "<p class=\"class\"><span>{}</span>{}{code}</p>\n<{tag}>{}</{tag}>\n",
        escaped(&space),
        escaped(name),
        escaped(error.message.trim())
    );
    if error.line > 0 {
        let _ = writeln!(
            out,
            "<p class=\"place\" title=\"{}\">{}<b>:{}</b></p>",
            escaped(&error.file),
            escaped(view.short(&error.file)),
            error.line
        );
    }
}

fn code(out: &mut String, excerpt: &Excerpt) {
    out.push_str("<pre class=\"code\">");
    for (number, text) in (excerpt.first..).zip(&excerpt.lines) {
        let mark = if number == excerpt.here { " class=\"here\"" } else { "" };
        let _ = write!(out, "<span{mark}><i>{number}</i>{}\n</span>", escaped(text));
    }
    out.push_str("</pre>\n");
}

fn trace(out: &mut String, view: &View<'_>, error: &Error, budget: &mut usize) {
    if error.frames.is_empty() {
        return;
    }
    out.push_str("<h3>Stack trace</h3>\n<ol class=\"trace\">\n");
    for frame in &error.frames {
        let own = if view.is_own(&frame.file) { " class=\"own\"" } else { "" };
        let head = format!(
            "<code>{}</code> <span title=\"{}\">{}</span>",
            escaped(&frame.call),
            escaped(&frame.file),
            escaped(&place(view, frame))
        );
        let excerpt = (*budget > 0).then(|| view.excerpt(&frame.file, frame.line, 4)).flatten();
        match excerpt {
            Some(excerpt) => {
                *budget -= 1;
                let _ = write!(out, "<li{own}><details><summary>{head}</summary>");
                code(out, &excerpt);
                out.push_str("</details></li>\n");
            }
            None => {
                let _ = writeln!(out, "<li{own}><p>{head}</p></li>");
            }
        }
    }
    out.push_str("</ol>\n");
}

fn request(out: &mut String, view: &View<'_>) {
    let seen = view.seen;
    out.push_str("<section class=\"seen\">\n<h3>Request</h3>\n");
    table(out, "GET", &seen.query());
    let post = seen.post();
    table(out, "POST", &post);
    table(out, "Cookies", &seen.cookies());
    table(out, "Headers", &seen.headers);
    if post.is_empty() && !seen.body.is_empty() {
        let _ = writeln!(
            out,
            "<details><summary>Body</summary><pre class=\"body\">{}</pre></details>",
            escaped(&seen.raw())
        );
    }
    if seen.is_cut() {
        out.push_str("<p class=\"note\">The body is longer than what is shown.</p>\n");
    }
    out.push_str("</section>\n");
}

fn table(out: &mut String, name: &str, pairs: &Pairs) {
    if pairs.is_empty() {
        return;
    }
    let _ = write!(out, "<details open><summary>{name} <small>{}</small></summary>\n<table>\n", pairs.len());
    for (key, value) in pairs {
        let _ = writeln!(out, "<tr><th>{}</th><td>{}</td></tr>", escaped(key), escaped(value));
    }
    out.push_str("</table></details>\n");
}
