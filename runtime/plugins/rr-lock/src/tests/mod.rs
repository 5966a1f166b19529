//! Tests of the table and of what lets tasks wait.

mod ends;
mod lending;
mod model;
mod rows;
mod simulation;
mod tasks;
mod upgrade;

use crate::*;

/// A second, in the table's units.
const SECOND: Micros = 1_000_000;

fn table() -> Table {
    Table::new(Limits::default(), 1)
}

/// An exclusive request by `id`: ttl 10 s, wait 1 s.
fn write<'a>(resource: &'a str, id: &'a str) -> Request<'a> {
    Request {
        resource,
        id: Some(id),
        shared: false,
        ttl: 10 * SECOND,
        wait: SECOND,
        owner: None,
        keep: false,
    }
}

/// The same, shared.
fn read<'a>(resource: &'a str, id: &'a str) -> Request<'a> {
    Request { shared: true, ..write(resource, id) }
}

/// Of a unit of a worker, without a name.
fn owned(resource: &str, worker: u64, unit: u64) -> Request<'_> {
    Request { id: None, owner: Some(Owner { pool: 0, worker, unit }), ..write(resource, "") }
}

/// What is granted at once.
fn granted(outcome: Result<Outcome, LockError>) -> Grant {
    match outcome.expect("within the limits") {
        Outcome::Granted(grant) => grant,
        other => panic!("not granted: {other:?}"),
    }
}

/// What waits.
fn waits(outcome: Result<Outcome, LockError>) -> u64 {
    match outcome.expect("within the limits") {
        Outcome::Waiting(ticket) => ticket,
        other => panic!("does not wait: {other:?}"),
    }
}

/// Tickets of those who were served, and of those who were not.
fn told(table: &mut Table) -> (Vec<u64>, Vec<u64>) {
    let (served, over): (Vec<Event>, Vec<Event>) =
        table.take_events().into_iter().partition(|event| event.grant.is_some());
    let tickets = |events: Vec<Event>| events.into_iter().map(|event| event.ticket).collect();
    (tickets(served), tickets(over))
}
