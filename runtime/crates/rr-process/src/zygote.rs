//! The zygote's loop: it forks on command, says who ended, and leaves when told to. Blocking, one thread.

use crate::message::{self, Message, Start};
use crate::role::Role;
use crate::worker::{Descriptors, NewWorker};
use rr_os::process::{Exit, Fork};
use rustix::event::{PollFd, PollFlags};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Why [`serve`] has returned.
#[derive(Debug)]
pub enum Turn {
    /// This process is a new worker.
    Worker(Box<NewWorker>),
    /// The master wants the zygote to leave.
    Exit,
    /// The master is gone.
    Orphaned,
}

#[derive(Debug)]
struct Child {
    worker: u64,
    pidfd: OwnedFd,
}

/// What the engine does around a fork.
pub trait Engine {
    /// Before a fork, in the zygote.
    ///
    /// # Errors
    /// A text that says why this fork must not be; the master gets it.
    fn before_fork(&mut self, start: &Start) -> Result<(), String>;

    /// Whether app code runs before a fork, which could start threads.
    fn runs_code(&self) -> bool;
}

/// The forking door, so that the one unsafe call stays in the crate that owns it.
pub type Forker<'a> = &'a mut dyn FnMut() -> io::Result<Fork>;

/// Serves the control socket. Returns in the zygote when it is to leave, and in every new worker at once.
///
/// # Errors
/// The control socket fails, or the master says something that is not for a zygote.
pub fn serve(control: OwnedFd, engine: &mut dyn Engine, fork: Forker<'_>) -> io::Result<Turn> {
    let mut children: Vec<Child> = Vec::new();
    // Looking into /proc costs a tenth of a fork; nothing changes between forks unless app code runs.
    let mut alone = false;
    loop {
        let (spoken, ended) = {
            let mut polled: Vec<PollFd<'_>> = Vec::with_capacity(children.len() + 1);
            polled.push(PollFd::new(&control, PollFlags::IN));
            polled.extend(children.iter().map(|child| PollFd::new(&child.pidfd, PollFlags::IN)));
            match rustix::event::poll(&mut polled, None) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            let ready = |poll: &PollFd<'_>| !poll.revents().is_empty();
            (ready(&polled[0]), polled[1..].iter().any(ready))
        };
        if ended {
            report_ends(&control, &mut children)?;
        }
        if !spoken {
            continue;
        }
        match message::receive(&control, Role::Master, Role::Zygote)? {
            None => {
                for child in &children {
                    let _ = rr_os::process::kill(&child.pidfd, 9);
                }
                return Ok(Turn::Orphaned);
            }
            Some((Message::Exit, _)) => return Ok(Turn::Exit),
            Some((Message::Fork(start), descriptors)) => {
                let descriptors = Descriptors::from_received(descriptors)?;
                match fork_one(&start, engine, fork, &mut alone) {
                    Ok(Fork::Child) => {
                        return Ok(Turn::Worker(Box::new(NewWorker { start, descriptors })));
                    }
                    Ok(Fork::Parent { pid, pidfd }) => {
                        let worker = start.worker;
                        message::send(&control, &Message::Forked { worker, pid }, &[pidfd.as_fd()])?;
                        children.push(Child { worker, pidfd });
                    }
                    Err(error) => {
                        let message = Message::NotForked { worker: start.worker, error };
                        message::send(&control, &message, &[])?;
                    }
                }
            }
            Some(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "not for a zygote")),
        }
    }
}

fn fork_one(
    start: &Start,
    engine: &mut dyn Engine,
    fork: Forker<'_>,
    alone: &mut bool,
) -> Result<Fork, String> {
    engine.before_fork(start)?;
    if *alone && !engine.runs_code() {
        return fork().map_err(|error| format!("fork: {error}"));
    }
    let threads = rr_os::proc::threads().map_err(|error| format!("/proc/self/task: {error}"))?;
    if threads != 1 {
        return Err(format!(
            "{threads} threads run in the zygote; a process with threads cannot be forked safely"
        ));
    }
    *alone = true;
    fork().map_err(|error| format!("fork: {error}"))
}

fn report_ends(control: &OwnedFd, children: &mut Vec<Child>) -> io::Result<()> {
    let mut result = Ok(());
    children.retain(|child| {
        let exit = match rr_os::process::reap(&child.pidfd) {
            Ok(None) => return true,
            Ok(Some(exit)) => exit,
            // Somebody else (pcntl_wait in a boot script) was faster.
            Err(_) => Exit::Unknown,
        };
        let message = Message::Exited { worker: child.worker, end: exit.into() };
        if let Err(error) = message::send(control, &message, &[]) {
            result = Err(error);
        }
        false
    });
    result
}
