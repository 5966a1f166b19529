//! The shard's reactor: looks at workers that have rung, and tells them when the thread sleeps. Workers ring only
//! while the runtime is really parked, which its park hooks know best.

use rr_pool::Shard;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::Ready;
use tokio::io::unix::AsyncFd;

/// Shared between the park hooks and the reactor's task.
#[derive(Debug, Clone)]
pub(crate) struct Reactor {
    shard: Arc<Shard>,
}

/// Has Tokio watch a descriptor that it owns.
#[expect(deprecated, reason = "unsound only for types that lie about their descriptor; OwnedFd does not")]
pub(crate) fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(descriptor)
}

impl Reactor {
    pub(crate) fn new(shard: Arc<Shard>) -> Self {
        Self { shard }
    }

    /// A runtime for the shard's thread, with the hooks in place.
    pub(crate) fn runtime(&self) -> io::Result<tokio::runtime::Runtime> {
        let (parking, waking) = (Arc::clone(&self.shard), Arc::clone(&self.shard));
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("rr-blocking")
            .max_blocking_threads(4)
            .on_thread_start(rr_os::patience::end)
            .on_thread_park(move || {
                if !parking.page().sleep() {
                    // Waking a task in this hook keeps the thread from parking.
                    parking.wake_reactor();
                }
            })
            .on_thread_unpark(move || waking.page().awake())
            .build()
    }

    /// The reactor's task.
    pub(crate) async fn run(self) -> io::Result<()> {
        let doorbell = watch(self.shard.page().doorbell().try_clone_to_owned()?)?;
        std::future::poll_fn(|cx| {
            self.shard.set_reactor(cx.waker());
            // Edge-triggered: the counter is never read.
            while let Poll::Ready(ready) = doorbell.poll_read_ready(cx) {
                match ready {
                    Ok(mut guard) => guard.clear_ready_matching(Ready::READABLE),
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            self.shard.drain();
            self.shard.flush();
            Poll::Pending
        })
        .await
    }
}
