//! Messages of the control socket between the master and a zygote: one JSON object per datagram.

use crate::role::{Kind, Role, allowed};
use rr_os::process::Exit;
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What a worker needs to know; its descriptors come beside it (see [`crate::worker::Descriptors`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The master's number for the worker, never used twice.
    pub worker: u64,
    /// The pool it belongs to.
    pub pool: String,
    /// Its bit in the shard page.
    pub slot: usize,
    /// Bytes of a work ring.
    pub ring: usize,
    /// Microseconds to look for work before sleeping.
    pub spin_us: u64,
    /// The script of a command worker, where it is no call of the booted app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Script>,
}

/// What PHP's command line would run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// The server's process id, for the handshake (WRK-02).
    pub server: u32,
    /// The script.
    pub path: String,
    /// What follows it.
    pub arguments: Vec<String>,
    /// Environment variables on top of the zygote's.
    pub env: Vec<(String, String)>,
    /// PHP settings, as `-d` gives them.
    pub ini: Vec<(String, String)>,
}

/// How a worker ended, as the zygote saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// `exit(code)`.
    Code(i32),
    /// Ended by a signal.
    Signal(i32),
    /// Nobody could ask.
    Unknown,
}

impl From<Exit> for End {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Code(code) => Self::Code(code),
            Exit::Signal(signal) => Self::Signal(signal),
            Exit::Unknown => Self::Unknown,
        }
    }
}

impl From<End> for Exit {
    fn from(end: End) -> Self {
        match end {
            End::Code(code) => Self::Code(code),
            End::Signal(signal) => Self::Signal(signal),
            End::Unknown => Self::Unknown,
        }
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// See [`Kind::Fork`].
    Fork(Start),
    /// See [`Kind::Exit`].
    Exit,
    /// See [`Kind::Booted`].
    Booted {
        /// The settings the script gave, as YAML/JSON text, so that a reload can apply what has changed.
        settings: String,
        /// Milliseconds from `run()` to here.
        boot_ms: u64,
        /// Bytes of PHP memory the booted app takes.
        memory: u64,
        /// Threads of the zygote; with more than one it cannot fork.
        threads: usize,
    },
    /// See [`Kind::Forked`].
    Forked {
        /// The number from [`Start`].
        worker: u64,
        /// Its process id.
        pid: u32,
    },
    /// See [`Kind::NotForked`].
    NotForked {
        /// The number from [`Start`].
        worker: u64,
        /// Why.
        error: String,
    },
    /// See [`Kind::Exited`].
    Exited {
        /// The number from [`Start`].
        worker: u64,
        /// How.
        end: End,
    },
}

impl Message {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Fork(_) => Kind::Fork,
            Self::Exit => Kind::Exit,
            Self::Booted { .. } => Kind::Booted,
            Self::Forked { .. } => Kind::Forked,
            Self::NotForked { .. } => Kind::NotForked,
            Self::Exited { .. } => Kind::Exited,
        }
    }
}

/// Sends `message` with `descriptors`.
///
/// # Errors
/// The peer is gone or its socket is full, or the message is too large.
pub fn send(socket: &impl AsFd, message: &Message, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    rr_os::message::send(socket, &serde_json::to_vec(message)?, descriptors)
}

/// Receives a message that `from` may send to `to`; `None` when the peer is gone.
///
/// # Errors
/// `InvalidData` for anything but an allowed message.
pub fn receive(socket: &impl AsFd, from: Role, to: Role) -> io::Result<Option<(Message, Vec<OwnedFd>)>> {
    let received = rr_os::message::receive(socket)?;
    if received.bytes.is_empty() && received.descriptors.is_empty() {
        return Ok(None);
    }
    let message: Message = serde_json::from_slice(&received.bytes)?;
    if !allowed(from, to, message.kind()) {
        let text = format!("{} sent {:?} to {}", from.name(), message.kind(), to.name());
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(Some((message, received.descriptors)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_and_those_out_of_role_are_refused() {
        let (master, zygote) = rr_os::message::pair().expect("pair");
        let start =
            Start { worker: 1, pool: "http".to_owned(), slot: 0, ring: 4096, spin_us: 0, script: None };
        send(&master, &Message::Fork(start.clone()), &[master.as_fd()]).expect("sends");
        let (message, descriptors) =
            receive(&zygote, Role::Master, Role::Zygote).expect("receives").expect("a message");
        assert_eq!((message, descriptors.len()), (Message::Fork(start), 1));
        send(&zygote, &Message::Exit, &[]).expect("sends");
        assert!(
            receive(&master, Role::Zygote, Role::Master).is_err(),
            "a zygote cannot tell the master to exit"
        );
        rr_os::message::send(&zygote, b"{\"fork\":", &[]).expect("sends");
        assert!(receive(&master, Role::Zygote, Role::Master).is_err(), "not JSON");
    }
}
