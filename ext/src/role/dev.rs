//! Development mode in the processes of PHP: whether it is on, errors as reports, dumps into the log. The master has
//! the last word on whether it is on and says so by the environment.

use crate::role::hooks;
use crate::zend;
use rr_wire::log::Level;
use rr_wire::report::Report;
use std::cell::RefCell;
use std::sync::OnceLock;

thread_local! {
    /// The exception that was thrown last.
    static THROWN: RefCell<Option<Report>> = const { RefCell::new(None) };
}

/// How the command line, the user's environment and the master say it.
const VARIABLE: &str = "RR_DEV";
const FLAG: &[u8] = b"--dev";
/// Bytes of a report; the channel cuts what it cannot take.
const MAX_REPORT: usize = 64 * 1024;
/// Bytes of a dump that are logged at once.
const PIECE: usize = 8 * 1024;

/// What a file says counts at once; for `http.pool.debug`, whose workers are younger than their requests.
pub(crate) const FRESH: [&str; 2] = ["opcache.validate_timestamps=1", "opcache.revalidate_freq=0"];

/// Settings of a server's PHP in development mode, in front of those of the command line.
pub(crate) const INI: [&str; 3] =
    ["opcache.validate_timestamps=1", "opcache.revalidate_freq=0", "zend.exception_ignore_args=0"];

/// For the master: the command line says so, or the environment; else the settings.
pub(crate) fn wanted(config: bool) -> bool {
    if rr_os::proc::command_line().is_ok_and(|args| args.iter().skip(1).any(|arg| arg == FLAG)) {
        return true;
    }
    match std::env::var(VARIABLE).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" => config,
        "0" | "false" | "off" | "no" => false,
        _ => true,
    }
}

/// The variable by which the master tells its zygotes.
pub(crate) fn told(on: bool) -> Vec<u8> {
    format!("{VARIABLE}={}", u8::from(on)).into_bytes()
}

/// Whether the variable is the one the master sets itself.
pub(crate) fn is_variable(name: &std::ffi::OsStr) -> bool {
    name == VARIABLE
}

/// Whether it is on, in a zygote or a worker.
pub(crate) fn is_on() -> bool {
    static ON: OnceLock<bool> = OnceLock::new();
    *ON.get_or_init(|| std::env::var(VARIABLE).is_ok_and(|value| value == "1"))
}

/// Module start-up of a process that the master has started.
pub(crate) fn startup() {
    if is_on() {
        zend::dev::register();
    }
}

/// The pending exception as a report.
pub(crate) fn exception() -> Option<String> {
    if !is_on() {
        return None;
    }
    Some(zend::dev::exception()?.encode(MAX_REPORT))
}

/// The last PHP error as a report.
pub(crate) fn last_error() -> Option<String> {
    if !is_on() {
        return None;
    }
    let report = zend::dev::last_error()?;
    let thrown = THROWN.with(|thrown| thrown.try_borrow_mut().ok().and_then(|mut thrown| thrown.take()));
    // An exception that nobody caught. PHP's text has its class and trace, which the master reads.
    let is = |thrown: &Report, text: &str| {
        let main = thrown.errors.first();
        main.is_some_and(|main| text.contains(&format!("{}: {} in ", main.class, main.message)))
    };
    match report.errors.first() {
        Some(error) if thrown.as_ref().is_some_and(|thrown| is(thrown, &error.message)) => {
            thrown.map(|thrown| thrown.encode(MAX_REPORT))
        }
        Some(error) if error.message.starts_with("Uncaught ") => Some(format!(
            "Fatal error: {} in {} on line {}",
            error.message.trim_end(),
            error.file,
            error.line
        )),
        _ => Some(report.encode(MAX_REPORT)),
    }
}

/// An exception is thrown, and may be caught.
pub(crate) fn thrown(report: Report) {
    THROWN.with(|thrown| {
        if let Ok(mut thrown) = thrown.try_borrow_mut() {
            *thrown = Some(report);
        }
    });
}

/// `rr_dump()`.
pub(crate) fn dumped(dump: &str, file: &str, line: u32) {
    let mut piece = format!("{file}:{line}\n");
    for text in dump.lines() {
        if piece.len() + text.len() > PIECE && !piece.is_empty() {
            hooks::write(Level::Info, piece.trim_end().as_bytes());
            piece.clear();
        }
        piece.push_str(text);
        piece.push('\n');
    }
    hooks::write(Level::Info, piece.trim_end().as_bytes());
}
