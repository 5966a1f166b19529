//! A thread that waits for a processor (`SCHED_BATCH`) rather than take one from whoever runs when it is woken: on a busy
//! machine it finds several events at once, on an idle one nothing changes. What it starts is scheduled as ever.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the policy of this process's thread is of our choice, and so not for what it starts.
static CHOSEN: AtomicBool = AtomicBool::new(false);

/// Makes the calling thread patient. Does nothing where somebody has chosen a policy or a priority for this process.
///
/// # Errors
/// The machine forbids it.
pub fn begin() -> io::Result<()> {
    // SAFETY: no memory is passed; 0 is the calling thread.
    let policy = unsafe { libc::sched_getscheduler(0) };
    if policy == libc::SCHED_OTHER && rustix::process::getpriority_process(None)? >= 0 {
        schedule(libc::SCHED_BATCH)?;
        CHOSEN.store(true, Ordering::Release);
    }
    Ok(())
}

/// For a thread or a process that a patient one has started: it is none. System calls only.
pub fn end() {
    if is_chosen() {
        let _ = schedule(libc::SCHED_OTHER);
    }
}

/// Whether what this process starts would inherit our choice.
pub(crate) fn is_chosen() -> bool {
    CHOSEN.load(Ordering::Acquire)
}

fn schedule(policy: i32) -> io::Result<()> {
    let none = libc::sched_param { sched_priority: 0 };
    // SAFETY: `none` outlives the call (O1); 0 is the calling thread.
    match unsafe { libc::sched_setscheduler(0, policy, &raw const none) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Field 41 of `/proc/[pid]/stat`: 0 is `SCHED_OTHER`, 3 is `SCHED_BATCH`.
    fn policy(pid: u32) -> String {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        fields.split_whitespace().nth(38).expect("41 fields").to_owned()
    }

    fn own() -> u32 {
        rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned()
    }

    #[test]
    fn what_a_patient_thread_starts_is_not() {
        let patient = std::thread::spawn(|| {
            assert_eq!(policy(own()), "0");
            begin().expect("it is allowed");
            assert_eq!(policy(own()), "3");
            let helper = std::thread::spawn(|| {
                end();
                policy(own())
            });
            assert_eq!(helper.join().expect("no panic"), "0");
            let (reader, writer) = std::io::pipe().expect("a pipe");
            let pid = crate::spawn::spawn(&crate::spawn::Program {
                path: Path::new("/bin/cat"),
                args: &[c"cat".to_owned()],
                env: &[],
                cwd: None,
                descriptors: &[std::os::fd::AsFd::as_fd(&reader)],
            })
            .expect("cat starts");
            let spawned = policy(pid);
            drop((reader, writer));
            let pidfd = crate::process::pidfd(pid).expect("an unreaped child");
            let options = rustix::process::WaitIdOptions::EXITED;
            rustix::process::waitid(
                rustix::process::WaitId::PidFd(std::os::fd::AsFd::as_fd(&pidfd)),
                options,
            )
            .expect("it ends");
            spawned
        });
        assert_eq!(patient.join().expect("no panic"), "0");
    }
}
