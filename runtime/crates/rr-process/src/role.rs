//! Who may send what to whom (the idea is NGINX Unit's). `docs/roles.md` shows the same table.

/// A kind of process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The process the user started: Tokio, listeners, pools. Runs no app code after `run()` begins.
    Master,
    /// One per generation: the booted app, one thread, forks on command.
    Zygote,
    /// Runs PHP code, one unit of work at a time.
    Worker,
}

/// All roles.
pub const ROLES: [Role; 3] = [Role::Master, Role::Zygote, Role::Worker];

impl Role {
    /// The name in logs, in `ps -o comm` and in the assignment.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Master => "rr-master",
            Self::Zygote => "rr-zygote",
            Self::Worker => "rr-worker",
        }
    }
}

/// A kind of message, on the control socket or in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Make a worker (control socket, with its descriptors).
    Fork,
    /// Leave; your workers go on.
    Exit,
    /// The app is booted.
    Booted,
    /// A worker is there (control socket, with its pidfd).
    Forked,
    /// A worker could not be made.
    NotForked,
    /// A worker has ended.
    Exited,
    /// A worker is ready (work lane).
    Hello,
    /// A unit of work or a part of its body (work lane).
    Work,
    /// A reply or a part of it (work lane).
    Reply,
    /// Finish and leave (work lane).
    Stop,
    /// RPC from PHP, or a log record (call lane).
    Call,
    /// The answer to it (call lane).
    Answer,
}

/// All kinds.
pub const KINDS: [Kind; 12] = [
    Kind::Fork,
    Kind::Exit,
    Kind::Booted,
    Kind::Forked,
    Kind::NotForked,
    Kind::Exited,
    Kind::Hello,
    Kind::Work,
    Kind::Reply,
    Kind::Stop,
    Kind::Call,
    Kind::Answer,
];

/// Whether `from` may send a message of this kind to `to`. Receivers refuse everything else.
#[must_use]
pub const fn allowed(from: Role, to: Role, kind: Kind) -> bool {
    match (from, to) {
        (Role::Master, Role::Zygote) => matches!(kind, Kind::Fork | Kind::Exit),
        (Role::Zygote, Role::Master) => {
            matches!(kind, Kind::Booted | Kind::Forked | Kind::NotForked | Kind::Exited)
        }
        (Role::Master, Role::Worker) => matches!(kind, Kind::Work | Kind::Stop | Kind::Answer),
        (Role::Worker, Role::Master) => matches!(kind, Kind::Hello | Kind::Reply | Kind::Call),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every triple of sender, receiver and kind, against the table of `docs/roles.md`.
    #[test]
    fn the_matrix_is_the_documented_one() {
        let documented = [
            (Role::Master, Role::Zygote, Kind::Fork),
            (Role::Master, Role::Zygote, Kind::Exit),
            (Role::Zygote, Role::Master, Kind::Booted),
            (Role::Zygote, Role::Master, Kind::Forked),
            (Role::Zygote, Role::Master, Kind::NotForked),
            (Role::Zygote, Role::Master, Kind::Exited),
            (Role::Master, Role::Worker, Kind::Work),
            (Role::Master, Role::Worker, Kind::Stop),
            (Role::Master, Role::Worker, Kind::Answer),
            (Role::Worker, Role::Master, Kind::Hello),
            (Role::Worker, Role::Master, Kind::Reply),
            (Role::Worker, Role::Master, Kind::Call),
        ];
        for from in ROLES {
            for to in ROLES {
                for kind in KINDS {
                    let expected = documented.contains(&(from, to, kind));
                    assert_eq!(allowed(from, to, kind), expected, "{from:?} → {to:?}: {kind:?}");
                }
            }
        }
    }
}
