//! A class per cause. All extend `RoadRunner\Exception`, which is a `RuntimeException`.

use ext_php_rs::prelude::*;
use ext_php_rs::zend::ClassEntry;

fn runtime_exception() -> &'static ClassEntry {
    // In SPL, which every PHP has; `Exception` would do where it is not there yet.
    ClassEntry::try_find("RuntimeException").unwrap_or_else(ext_php_rs::zend::ce::exception)
}

/// The parent of all exceptions of this extension.
#[php_class]
#[php(name = "RoadRunner\\Exception")]
#[php(extends(ce = runtime_exception, stub = "\\RuntimeException"))]
#[derive(Default)]
pub struct Exception;

/// A setting is wrong; the message says where and what to do.
#[php_class]
#[php(name = "RoadRunner\\ConfigException")]
#[php(extends(Exception))]
#[derive(Default)]
pub struct ConfigException;

/// The call does not work in this kind of process; the message says where it does.
#[php_class]
#[php(name = "RoadRunner\\RoleException")]
#[php(extends(Exception))]
#[derive(Default)]
pub struct RoleException;

/// The client went away before the request body was complete, or while the response was written.
#[php_class]
#[php(name = "RoadRunner\\ClientGoneException")]
#[php(extends(Exception))]
#[derive(Default)]
pub struct ClientGoneException;

/// The worker's channel to the server is broken; the worker is about to be replaced.
#[php_class]
#[php(name = "RoadRunner\\ChannelException")]
#[php(extends(Exception))]
#[derive(Default)]
pub struct ChannelException;

/// What a session's error is in PHP.
pub(crate) fn of_session(error: &rr_worker::SessionError) -> PhpException {
    use rr_worker::SessionError::{Attach, Cancelled, Corrupt, NoUnit, Refused, TooLarge, Unexpected};
    match error {
        Cancelled => PhpException::from_class::<ClientGoneException>(error.to_string()),
        NoUnit => PhpException::from_class::<RoleException>(error.to_string()),
        Refused(_) | TooLarge { .. } => PhpException::from_class::<Exception>(error.to_string()),
        Attach(_) | Corrupt(_) | Unexpected(_) => {
            PhpException::from_class::<ChannelException>(error.to_string())
        }
    }
}
