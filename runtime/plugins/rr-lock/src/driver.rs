//! What a driver does: the table in memory at once, others later. One implementation of each operation serves workers
//! and clients of the RPC.

use crate::{Acquired, Grant, Locks, Micros, Owner, Request};
use rr_pool::BoxFuture;
use rr_shm::leases::Leases;
use rr_wire::lock::Lease;
use std::fmt;

/// What an operation gives.
pub enum Done<T> {
    /// At once.
    Now(Result<T, String>),
    /// Later.
    Later(BoxFuture<Result<T, String>>),
}

impl<T> Done<T> {
    /// From a future.
    pub fn later(future: impl Future<Output = Result<T, String>> + Send + 'static) -> Self {
        Self::Later(Box::pin(future))
    }

    /// What comes of the result.
    pub fn map<U>(self, then: impl FnOnce(T) -> U + Send + 'static) -> Done<U>
    where
        T: 'static,
    {
        match self {
            Self::Now(result) => Done::Now(result.map(then)),
            Self::Later(future) => Done::later(async move { future.await.map(then) }),
        }
    }
}

/// A driver: who holds what. None of its methods blocks; what is to come later has begun when the method returns, or comes
/// before what is asked about the same resource after it.
pub trait Driver: Send + Sync + fmt::Debug {
    /// See [`crate::Table::acquire`]; `None`: it was not free in time.
    fn acquire(&self, request: &Request<'_>) -> Done<Option<Grant>>;
    /// The same for a worker that can have leases in `leases`: one may come with the lock. Drivers on other servers have none.
    fn acquire_or_lease(
        &self,
        request: &Request<'_>,
        _leases: Option<&Leases>,
    ) -> Done<Option<(Grant, Option<Lease>)>> {
        self.acquire(request).map(|grant| grant.map(|grant| (grant, None)))
    }
    /// See [`crate::Table::release`].
    fn release(&self, resource: &str, id: &str) -> Done<bool>;
    /// See [`crate::Table::release_token`].
    fn release_token(&self, token: u64) -> Done<bool>;
    /// See [`crate::Table::force_release`].
    fn force_release(&self, resource: &str) -> Done<bool>;
    /// See [`crate::Table::exists`].
    fn exists(&self, resource: &str, id: &str) -> Done<bool>;
    /// See [`crate::Table::update_ttl`].
    fn update_ttl(&self, resource: &str, id: &str, ttl: Micros) -> Done<bool>;
    /// See [`crate::Table::refresh`].
    fn refresh(&self, token: u64, ttl: Micros) -> Done<bool>;
    /// See [`crate::Table::remaining`].
    fn remaining(&self, token: u64) -> Done<Option<Micros>>;
    /// See [`crate::Table::end_unit`].
    fn end_unit(&self, owner: Owner) -> usize;
    /// See [`crate::Table::end_before`].
    fn end_before(&self, owner: Owner) -> usize;
    /// See [`crate::Table::end_worker`].
    fn end_worker(&self, pool: u32, worker: u64) -> usize;
    /// Locks that are held and requests that wait, as far as this server knows: what is lent to workers is not among them.
    fn counts(&self) -> (usize, usize);
    /// Gives back what ends with the server, once no worker is left.
    fn finish(&self) -> BoxFuture<()> {
        Box::pin(std::future::ready(()))
    }
}

impl Driver for Locks {
    fn acquire(&self, request: &Request<'_>) -> Done<Option<Grant>> {
        Driver::acquire_or_lease(self, request, None).map(|obtained| obtained.map(|(grant, _)| grant))
    }
    fn acquire_or_lease(
        &self,
        request: &Request<'_>,
        leases: Option<&Leases>,
    ) -> Done<Option<(Grant, Option<Lease>)>> {
        match Self::acquire_or_lease(self, request, leases) {
            Ok((Acquired::Now(grant), lease)) => Done::Now(Ok(Some((grant, lease)))),
            Ok((Acquired::No, _)) => Done::Now(Ok(None)),
            Ok((Acquired::Later(pending), _)) => {
                Done::later(async { Ok(pending.await.map(|grant| (grant, None))) })
            }
            Err(error) => Done::Now(Err(error.to_string())),
        }
    }
    fn release(&self, resource: &str, id: &str) -> Done<bool> {
        Done::Now(Ok(Self::release(self, resource, id)))
    }
    fn release_token(&self, token: u64) -> Done<bool> {
        Done::Now(Ok(Self::release_token(self, token)))
    }
    fn force_release(&self, resource: &str) -> Done<bool> {
        Done::Now(Ok(Self::force_release(self, resource)))
    }
    fn exists(&self, resource: &str, id: &str) -> Done<bool> {
        Done::Now(Ok(Self::exists(self, resource, id)))
    }
    fn update_ttl(&self, resource: &str, id: &str, ttl: Micros) -> Done<bool> {
        Done::Now(Ok(Self::update_ttl(self, resource, id, ttl)))
    }
    fn refresh(&self, token: u64, ttl: Micros) -> Done<bool> {
        Done::Now(Ok(Self::refresh(self, token, ttl)))
    }
    fn remaining(&self, token: u64) -> Done<Option<Micros>> {
        Done::Now(Ok(Self::remaining(self, token)))
    }
    fn end_unit(&self, owner: Owner) -> usize {
        Self::end_unit(self, owner)
    }
    fn end_before(&self, owner: Owner) -> usize {
        Self::end_before(self, owner)
    }
    fn end_worker(&self, pool: u32, worker: u64) -> usize {
        Self::end_worker(self, pool, worker)
    }
    fn counts(&self) -> (usize, usize) {
        Self::counts(self)
    }
}
