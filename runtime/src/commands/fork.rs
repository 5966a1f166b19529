//! Whether a command is one that a fork can run: `php [-d setting] script arguments` with the PHP that runs already.

use rr_process::Script;
use rr_service::command;
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The script of a command. `php` is the server's PHP, `options` the command line that it is started with.
///
/// # Errors
/// The text of why it needs a program of its own.
pub(super) fn script(
    words: &[String],
    env: &[(Vec<u8>, Vec<u8>)],
    cwd: &CStr,
    php: &Path,
    options: &[CString],
) -> Result<Script, String> {
    let (first, rest) = words.split_first().ok_or("the command is empty")?;
    let path = env.iter().find(|(name, _)| name == b"PATH").map_or(&b""[..], |(_, path)| path);
    let cwd = Path::new(OsStr::from_bytes(cwd.to_bytes()));
    let found = command::find(first, &String::from_utf8_lossy(path), cwd)?;
    let same = found.canonicalize().ok() == php.canonicalize().ok();
    if !same {
        return Err(format!("{} is not the PHP of the server, {}", found.display(), php.display()));
    }
    let mut script = parse(rest, options.iter().all(|option| keeps_opcache(option.to_bytes())))?;
    script.env = Vec::new();
    Ok(script)
}

/// Whether a switch of the opcache is on, as PHP reads it. `None`: the setting is no such switch.
fn opcache_switch(name: &str, value: &str) -> Option<bool> {
    let on = || matches!(value.to_ascii_lowercase().as_str(), "1" | "on" | "yes" | "true");
    matches!(name, "opcache.enable" | "opcache.enable_cli").then(on)
}

/// The server's PHP has the opcache on unless its command line says otherwise.
fn keeps_opcache(option: &[u8]) -> bool {
    let option = String::from_utf8_lossy(option);
    let (name, value) = setting(option.strip_prefix("-d").unwrap_or(&option));
    opcache_switch(name, value) != Some(false)
}

fn setting(text: &str) -> (&str, &str) {
    let (name, value) = text.split_once('=').unwrap_or((text, "1"));
    (name.trim(), value.trim().trim_matches('"'))
}

/// `opcache`: the server's PHP has it on.
fn parse(words: &[String], opcache: bool) -> Result<Script, String> {
    let mut ini = Vec::new();
    let mut named = None;
    let mut words = words.iter().peekable();
    let nothing = || "the command names no script".to_owned();
    // As PHP: options end at the first word that is none, or behind `--`.
    while let Some(option) = words.next_if(|word| word.starts_with('-')) {
        let given = match option.as_str() {
            "--" => break,
            "-f" => {
                named = Some(words.next().ok_or_else(nothing)?);
                continue;
            }
            "-d" => words.next().ok_or("a -d without a setting")?,
            "-" => return Err("the script comes from stdin".to_owned()),
            other => other.strip_prefix("-d").ok_or_else(|| format!("PHP's option {other}"))?,
        };
        let (name, value) = setting(given);
        if opcache && opcache_switch(name, value) == Some(true) {
            // It is so.
            continue;
        }
        if matches!(name, "extension" | "zend_extension") || name.starts_with("opcache.") {
            return Err(format!("{name} can only be set when PHP starts"));
        }
        ini.push((name.to_owned(), value.to_owned()));
    }
    let path = named.or_else(|| words.next()).ok_or_else(nothing)?.clone();
    Ok(Script { server: 0, path, arguments: words.cloned().collect(), env: Vec::new(), ini })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Script, String> {
        parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>(), true)
    }

    #[test]
    fn plain_scripts_are_run_by_forks() {
        let script = parsed("-d memory_limit=64M -dprecision=5 -d x worker.php -f=1 -a b").expect("plain");
        assert_eq!(
            (script.path.as_str(), script.arguments),
            ("worker.php", vec!["-f=1".to_owned(), "-a".to_owned(), "b".to_owned()])
        );
        let ini = [("memory_limit", "64M"), ("precision", "5"), ("x", "1")];
        assert_eq!(script.ini, ini.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(parsed("-f w.php -- -x").expect("plain").arguments, ["-x"]);
        assert_eq!(parsed("-f w.php b -x").expect("plain").arguments, ["b", "-x"]);
        assert_eq!(parsed("w.php -- -x").expect("plain").arguments, ["--", "-x"]);
        assert_eq!(parsed("-- w.php").expect("plain").path, "w.php");
    }

    #[test]
    fn an_opcache_that_is_on_may_be_asked_for() {
        let words = ["-d", "opcache.enable_cli=1", "-dopcache.enable=On", "w.php"].map(str::to_owned);
        assert_eq!(parse(&words, true).expect("plain").ini, []);
        assert!(parse(&words, false).expect_err("it is off").contains("opcache.enable_cli can only"));
        for (option, keeps) in [
            ("opcache.enable_cli=1", true),
            ("-dopcache.enable_cli=0", false),
            ("opcache.enable=off", false),
            ("opcache.enable", true),
            ("-d", true),
            ("server.php", true),
        ] {
            assert_eq!(keeps_opcache(option.as_bytes()), keeps, "{option}");
        }
    }

    #[test]
    fn what_a_fork_cannot_do_is_said() {
        for (line, why) in [
            ("-r code", "PHP's option -r"),
            ("-n w.php", "PHP's option -n"),
            ("-d extension=x w.php", "extension can only"),
            ("-dopcache.enable=0 w.php", "opcache.enable can only"),
            ("-", "stdin"),
            ("-d", "without a setting"),
            ("-d a=1", "names no script"),
        ] {
            assert!(parsed(line).expect_err("not plain").contains(why), "{line}");
        }
        let error = script(
            &["sh".to_owned()],
            &[(b"PATH".to_vec(), b"/bin:/usr/bin".to_vec())],
            c"/",
            Path::new("/usr/bin/true"),
            &[],
        );
        assert!(error.expect_err("another").contains("is not the PHP of the server"));
    }
}
