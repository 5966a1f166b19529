//! The only door to atomics of this crate, so that loom can take their place.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// A relaxed store.
#[cfg(not(loom))]
pub(crate) fn put(word: &AtomicU32, value: u32) {
    word.store(value, Ordering::Relaxed);
}

/// A relaxed store, as a swap: loom does not order a plain store and another thread's swap of the same word among
/// each other, and then finds executions in which a swap has read a value that was overwritten long before. Both
/// are relaxed; the swap only puts the stores in one line, which they are in on every machine.
#[cfg(loom)]
pub(crate) fn put(word: &AtomicU32, value: u32) {
    word.swap(value, Ordering::Relaxed);
}

/// Checks interleavings with up to three preemptions, or `LOOM_MAX_PREEMPTIONS`: all of them take many minutes.
#[cfg(all(test, loom))]
pub(crate) fn model(check: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(check);
}

/// What a futex or an eventfd is: a wake-up that is kept until somebody sleeps.
#[cfg(all(test, loom))]
#[derive(Default)]
pub(crate) struct Parking {
    woken: loom::sync::Mutex<bool>,
    changed: loom::sync::Condvar,
}

#[cfg(all(test, loom))]
impl Parking {
    pub(crate) fn park(&self) {
        let mut woken = self.woken.lock().expect("lock");
        while !*woken {
            woken = self.changed.wait(woken).expect("wait");
        }
        *woken = false;
    }

    pub(crate) fn unpark(&self) {
        *self.woken.lock().expect("lock") = true;
        self.changed.notify_one();
    }
}
