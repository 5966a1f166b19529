//! A class per cause. All extend `RoadRunner\Exception`, which is a `RuntimeException`.

use crate::zend;
use ext_php_rs::prelude::*;
use ext_php_rs::zend::ClassEntry;
use std::cell::OnceCell;

/// A cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Anything else; the parent of the others.
    Other,
    /// A setting is wrong.
    Config,
    /// The call does not work in this kind of process.
    Role,
    /// The client went away.
    ClientGone,
    /// The worker's channel is broken.
    Channel,
    /// A method of the server failed.
    Rpc,
    /// A storage says no.
    KeyValue,
    /// A lock was not obtained.
    Lock,
    /// A metric was refused.
    Metrics,
    /// A service cannot do what it should.
    Service,
}

/// Name and documentation, in the order of [`Cause`].
const CLASSES: [(&str, &str); 10] = [
    ("RoadRunner\\Exception", "The parent of all exceptions of this extension."),
    ("RoadRunner\\ConfigException", "A setting is wrong; the message says where and what to do."),
    ("RoadRunner\\RoleException", "The call does not work in this kind of process, or at this time."),
    (
        "RoadRunner\\ClientGoneException",
        "The client went away before the request body was complete, or while the response was written.",
    ),
    (
        "RoadRunner\\ChannelException",
        "The worker's channel to the server is broken; the worker is about to be replaced.",
    ),
    ("RoadRunner\\RpcException", "A method of the server failed; the message is the method's own."),
    ("RoadRunner\\KeyValueException", "A key-value storage could not do what it was asked."),
    ("RoadRunner\\LockException", "A lock was not free in time, or there are too many."),
    ("RoadRunner\\MetricsException", "A metric was refused: its type, labels, number or name do not fit."),
    ("RoadRunner\\ServiceException", "A service could not be started, or there is none of the name."),
];

thread_local! {
    static REGISTERED: OnceCell<[&'static ClassEntry; 10]> = const { OnceCell::new() };
}

/// Declares the classes, at module start-up. `None`: PHP refused one.
pub(crate) fn register() -> Option<()> {
    let parent = zend::register_exception(CLASSES[0].0, None)?;
    let mut classes = [parent; 10];
    for (class, (name, _)) in classes.iter_mut().zip(CLASSES).skip(1) {
        *class = zend::register_exception(name, Some(parent))?;
    }
    REGISTERED.with(|registered| registered.set(classes)).ok()
}

/// The stub of the classes.
#[cfg(debug_assertions)]
pub(crate) fn stub() -> String {
    let class = |(index, (name, documentation)): (usize, &(&str, &str))| {
        let short = name.trim_start_matches("RoadRunner\\");
        let parent = if index == 0 { "\\RuntimeException" } else { "Exception" };
        format!("    /**\n     * {documentation}\n     */\n    class {short} extends {parent} {{}}\n")
    };
    let classes: Vec<String> = CLASSES.iter().enumerate().map(class).collect();
    let timeout = "
    /**
     * The request has run for `exec_ttl`, or the script for `max_execution_time`: thrown wherever the script is, so that
     * `finally` runs. A script that goes on after it is ended with its worker.
     */
    class TimeoutError extends \\Error {}\n";
    format!("\nnamespace RoadRunner {{\n{}{timeout}}}\n", classes.join("\n"))
}

/// The class of a cause.
pub(crate) fn class(cause: Cause) -> Option<&'static ClassEntry> {
    REGISTERED.with(|registered| registered.get().map(|classes| classes[cause as usize]))
}

/// An exception to throw.
pub(crate) fn of(cause: Cause, text: impl Into<String>) -> PhpException {
    let class = class(cause);
    PhpException::new(text.into(), 0, class.unwrap_or_else(ext_php_rs::zend::ce::exception))
}

/// What a session's error is in PHP.
pub(crate) fn of_session(error: &rr_worker::SessionError) -> PhpException {
    use rr_worker::SessionError::{Attach, Cancelled, Corrupt, NoUnit, Refused, TooLarge, Unexpected};
    let cause = match error {
        Cancelled => Cause::ClientGone,
        NoUnit => Cause::Role,
        Refused(_) | TooLarge { .. } => Cause::Other,
        Attach(_) | Corrupt(_) | Unexpected(_) => Cause::Channel,
    };
    of(cause, error.to_string())
}
