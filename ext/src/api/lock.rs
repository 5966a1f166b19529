//! `RoadRunner\Lock`: locks that all workers and RPC clients share.

use super::Text;
use super::exceptions::{Cause, of, of_session};
use crate::role::session;
use crate::zend::{self, Callable, Outcome};
use ext_php_rs::boxed::ZBox;
use ext_php_rs::convert::IntoZval;
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendClassObject, Zval};
use rr_wire::lock::number;
use rr_worker::SessionError;

/// A lock that this worker holds: `Lock::acquire('invoice:7', ttl: 5, wait: 1)`.
///
/// It is given back by `release()`, when the object goes, when the request or the worker ends however it ends, or when
/// its ttl is over. All workers and the clients of RoadRunner's RPC share the same locks; who waits is served in order.
#[php_class]
#[php(name = "RoadRunner\\Lock")]
#[php(flags = ext_php_rs::flags::ClassFlags::Final)]
pub struct Lock {
    held: rr_worker::Lock,
    released: bool,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Lock {
    /// Releases it without the server's word.
    #[inline]
    fn give_back(&mut self) {
        if !std::mem::replace(&mut self.released, true) {
            // A child that the app has forked has a copy, and its end is not the lock's. A broken channel ends the worker,
            // and the lock with it.
            let _ = session::try_with(|session| match session.is_original() {
                true => session.drop_lock(&self.held),
                false => Ok(()),
            });
        }
    }

    #[inline]
    fn obtain(name: &str, ttl: f64, wait: f64, shared: bool) -> PhpResult<Option<Self>> {
        let (ttl, wait) = (micros("ttl", ttl)?, micros("wait", wait)?);
        let held = session::with(|session| session.lock(name, ttl, wait, shared))?.map_err(failed)?;
        Ok(held.map(|held| Self { held, released: false }))
    }

    /// The answer of a method about this lock.
    fn ask(&self, method: &str, more: &[u8]) -> PhpResult<Vec<u8>> {
        let body = [&self.held.token().to_le_bytes()[..], more].concat();
        ask(method, &body)
    }
}

fn ask(method: &str, body: &[u8]) -> PhpResult<Vec<u8>> {
    session::with(|session| session.call(method, body))?.map_err(failed)
}

fn failed(error: SessionError) -> PhpException {
    match &error {
        SessionError::Refused(text) => of(Cause::Lock, text),
        _ => of_session(&error),
    }
}

/// Seconds as whole microseconds; what is too long is as long as can be.
fn micros(what: &str, seconds: f64) -> PhpResult<u64> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(of(Cause::Lock, format!("a {what} of {seconds} seconds; it must be 0 or more")));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and the cast saturates"
    )]
    Ok((seconds * 1e6).ceil() as u64)
}

fn of_value(value: &mut Zval) -> Option<&mut Lock> {
    Some(ZendClassObject::<Lock>::from_zend_obj_mut(value.object_mut()?)?)
}

#[php_impl]
impl Lock {
    /// Takes a lock, or gives null if it is not free within `$wait` seconds; without a wait it does not wait.
    ///
    /// Shared locks of one name are held together, others alone. After `$ttl` seconds the lock is free for others, whether
    /// its holder has ended or not; 0 is a year. A lock is not re-entrant: who holds it waits for itself.
    ///
    /// @throws LockException there are too many locks, a time is negative, or the server that keeps the locks does not answer
    /// @throws RoleException outside of a worker
    #[php(defaults(ttl = 0.0, wait = 0.0, shared = false))]
    pub fn acquire(
        name: &str,
        ttl: f64,
        wait: f64,
        shared: bool,
    ) -> PhpResult<Option<ZBox<ZendClassObject<Lock>>>> {
        Ok(Self::obtain(name, ttl, wait, shared)?.map(ZendClassObject::new))
    }

    /// Calls `$callback` while it holds the lock, and gives what that returns. The lock is released when it returns,
    /// throws or exits. The callback gets the lock.
    ///
    /// @param callable(Lock): mixed $callback
    /// @throws LockException the lock was not free within `$wait` seconds, and the callback was not called
    /// @throws RoleException outside of a worker
    #[php(defaults(ttl = 0.0, wait = 0.0, shared = false))]
    pub fn with(name: &str, callback: &Zval, ttl: f64, wait: f64, shared: bool) -> PhpResult<Zval> {
        let Some(callable) = Callable::new(callback) else {
            return Err(of(Cause::Lock, "Lock::with(): expected a callable"));
        };
        let Some(lock) = Self::obtain(name, ttl, wait, shared)? else {
            let text = format!("the lock \"{name}\" was not free within {wait} seconds; nothing was done");
            return Err(of(Cause::Lock, text));
        };
        let lock = ZendClassObject::new(lock).into_zval(false)?;
        let mut arguments = [lock];
        let (outcome, value) = callable.call(&mut arguments);
        // The callback may have kept it.
        if let Some(lock) = of_value(&mut arguments[0]) {
            lock.give_back();
        }
        match outcome {
            Outcome::Returned => return Ok(value),
            // The exception is pending; PHP goes on with it.
            Outcome::Threw => {}
            Outcome::Exited => zend::exit_script(0),
            Outcome::Bailed => zend::fail_script(),
        }
        Ok(Zval::null())
    }

    /// Whether anybody holds a lock of this name.
    ///
    /// @throws RoleException outside of a worker
    pub fn exists(name: &str) -> PhpResult<bool> {
        Ok(ask("lock.exists", name.as_bytes())? == [1])
    }

    /// Takes a lock from all who hold it. False: nobody does.
    ///
    /// @throws RoleException outside of a worker
    pub fn force_release(name: &str) -> PhpResult<bool> {
        Ok(ask("lock.force", name.as_bytes())? == [1])
    }

    /// Gives the lock back. False: it had ended before, by its ttl or by force.
    ///
    /// @throws LockException the server that keeps the locks does not answer; the lock is given back once it does
    /// @throws ChannelException
    pub fn release(&mut self) -> PhpResult<bool> {
        if std::mem::replace(&mut self.released, true) {
            return Ok(false);
        }
        session::with(|session| session.unlock(&self.held))?.map_err(failed)
    }

    /// Has the lock last `$ttl` seconds from now; 0 is a year. False: it has ended.
    ///
    /// @throws LockException the time is negative, or the server that keeps the locks does not answer
    #[php(defaults(ttl = 0.0))]
    pub fn refresh(&self, ttl: f64) -> PhpResult<bool> {
        let ttl = micros("ttl", ttl)?;
        Ok(!self.released && self.ask("lock.refresh", &ttl.to_le_bytes())? == [1])
    }

    /// How many seconds the lock lasts; 0 when it has ended.
    ///
    /// @throws LockException the server that keeps the locks does not answer
    /// @throws ChannelException
    pub fn remaining(&self) -> PhpResult<f64> {
        if self.released {
            return Ok(0.0);
        }
        #[expect(clippy::cast_precision_loss, reason = "microseconds of a year are exact")]
        Ok(number(&self.ask("lock.remaining", &[])?).map_or(0.0, |micros| micros as f64 / 1e6))
    }

    /// Whether the lock is held now, as the server sees it.
    ///
    /// @throws LockException the server that keeps the locks does not answer
    /// @throws ChannelException
    pub fn is_held(&self) -> PhpResult<bool> {
        Ok(!self.released && !self.ask("lock.remaining", &[])?.is_empty())
    }

    /// The fencing token: greater than that of every lock of this name before, also across a restart. What the lock
    /// protects can refuse a smaller token than it has seen.
    pub fn token(&self) -> i64 {
        i64::try_from(self.held.token()).unwrap_or(i64::MAX)
    }

    /// The name.
    pub fn name(&self) -> Text {
        Text::new(self.held.name())
    }
}
