//! The methods of workers, with bodies of [`rr_wire::kv`]. Each begins with the storage's name.

use crate::KvError;
use crate::driver::{Done, Item, List};
use crate::storage::{Storage, Storages, Task};
use crate::turns::Turn;
use rr_pool::{Answer, Caller};
use rr_rpc::Service;
use rr_wire::kv::{CutOff, Reading, Writing};

type Body = Done<Vec<u8>>;

/// Adds the methods to those of the RPC.
pub(crate) fn add(service: Service, storages: &Storages) -> Service {
    let with = |run: fn(&Storage, &mut Reading<'_>) -> Result<Body, CutOff>| {
        let storages = storages.clone();
        move |_: &Caller, body: &[u8]| {
            let mut reading = Reading::new(body);
            let done = reading.text().map_err(text).and_then(|name| {
                let storage = storages.find(name)?;
                run(storage, &mut reading).map_err(text)
            });
            match done {
                Ok(Done::Now(result)) => Answer::Now(result.map_err(text)),
                Ok(Done::Later(future)) => Answer::Later(Box::pin(async move { future.await.map_err(text) })),
                Err(error) => Answer::Now(Err(error)),
            }
        }
    };
    let all = storages.clone();
    service
        .native("Get", with(get))
        .native("Ttl", with(ttl))
        .native("Has", with(has))
        .native("Set", with(set))
        .native("Delete", with(delete))
        .native("Clear", with(clear))
        .native("Expire", with(expire))
        .native("Increment", with(increment))
        .native("CompareAndSet", with(compare_and_set))
        .native("GiveUp", with(give_up))
        .native("Compute", move |caller, body| compute(&all, caller, body))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn keys<'a>(body: &mut Reading<'a>) -> Result<List<&'a [u8]>, CutOff> {
    let mut keys = List::new();
    while !body.is_over() {
        keys.push(body.text()?);
    }
    Ok(keys)
}

/// Keys; for each one 0, or 1 and an item without its key.
fn get(storage: &Storage, body: &mut Reading<'_>) -> Result<Body, CutOff> {
    let keys = keys(body)?;
    Ok(storage.driver().get(&keys).map(|found| {
        let written = found.into_iter().fold(Writing::default(), |written, item| match item {
            None => written.u32(0),
            Some(Item { kind, value, ttl }) => {
                written.u32(1).item(&rr_wire::kv::Item { key: b"", kind, ttl, value: &value })
            }
        });
        written.0
    }))
}

/// A key; nothing, or the milliseconds it has left.
fn ttl(storage: &Storage, body: &mut Reading<'_>) -> Result<Body, CutOff> {
    let left = storage.driver().ttl(&[body.text()?]);
    Ok(left.map(|mut left| left.pop().flatten().map_or(Vec::new(), |left| left.to_le_bytes().to_vec())))
}

/// A key; whether it is there.
fn has(storage: &Storage, body: &mut Reading<'_>) -> Result<Body, CutOff> {
    Ok(storage.driver().has(&[body.text()?]).map(|mut there| vec![u8::from(there.pop() == Some(true))]))
}

/// Items; all or none, unless there is no room.
fn set(storage: &Storage, body: &mut Reading<'_>) -> Result<Body, CutOff> {
    let mut items = List::new();
    while !body.is_over() {
        items.push(body.item()?);
    }
    Ok(storage.set(&items).map(|()| Vec::new()))
}

/// Keys; how many were there.
fn delete(storage: &Storage, body: &mut Reading<'_>) -> Result<Body, CutOff> {
    let keys = keys(body)?;
    Ok(storage.driver().delete(&keys).map(|count| count.to_le_bytes().to_vec()))
}

fn clear(storage: &Storage, _: &mut Reading<'_>) -> Result<Body, CutOff> {
    Ok(storage.driver().clear().map(|()| Vec::new()))
}

/// A time in milliseconds, 0 for ever, and a key; whether it was there.
fn expire(storage: &Storage, body: &mut Reading<'_>) -> Result<Body, CutOff> {
    let (ttl, key) = (body.u64()?, body.text()?);
    Ok(storage.driver().expire(&[(key, ttl)]).map(|count| vec![u8::from(count > 0)]))
}

/// A number, a time and a key; the sum.
fn increment(storage: &Storage, body: &mut Reading<'_>) -> Result<Body, CutOff> {
    let (by, ttl, key) = (body.u64()?.cast_signed(), body.u64()?, body.text()?);
    if let Err(error) = crate::driver::check(key) {
        return Ok(Done::Now(Err(error)));
    }
    Ok(storage.driver().increment(key, by, ttl).map(|sum| sum.to_le_bytes().to_vec()))
}

/// 1 and kind and value that are expected, or 0 for none; the item. Whether it was set.
fn compare_and_set(storage: &Storage, body: &mut Reading<'_>) -> Result<Body, CutOff> {
    let expected = match body.u32()? {
        0 => None,
        _ => Some((body.u32()?, body.text()?)),
    };
    let item = body.item()?;
    if let Err(error) = crate::driver::check(item.key) {
        return Ok(Done::Now(Err(error)));
    }
    Ok(storage.driver().compare_and_set(expected, &item).map(|set| vec![u8::from(set)]))
}

/// The number of a task, the patience of the next one and a key.
fn give_up(storage: &Storage, body: &mut Reading<'_>) -> Result<Body, CutOff> {
    let (number, patience) = (body.u64()?, body.u64()?);
    storage.give_up(body.text()?, number, patience);
    Ok(Done::Now(Ok(Vec::new())))
}

/// Patience in milliseconds, 1 to take a stale value, and a key. 0 and an item, or 1 and the number of a task.
fn compute(storages: &Storages, caller: &Caller, body: &[u8]) -> Answer {
    let mut reading = Reading::new(body);
    let asked = (|| {
        let storage = storages.find(reading.text().map_err(text)?)?;
        let (patience, stale) = (reading.u64().map_err(text)?, reading.u32().map_err(text)?);
        let key = reading.text().map_err(text)?;
        Ok(storage.compute(caller.worker, key, patience, stale != 0))
    })();
    match asked {
        Err(error) => Answer::Now(Err(error)),
        Ok(Task::Now(result)) => Answer::Now(turned(result)),
        Ok(Task::Waits(later)) => Answer::Later(Box::pin(async move {
            // The storage was cleared, or nobody is left who computes: the caller may.
            turned(Ok(later.await.unwrap_or(Turn::Compute(0))))
        })),
        Ok(Task::Later(future)) => Answer::Later(Box::pin(async move { turned(future.await) })),
    }
}

fn turned(result: Result<Turn, KvError>) -> Result<Vec<u8>, String> {
    match result {
        Ok(Turn::Found(Item { kind, value, ttl })) => {
            Ok(Writing::default().u32(0).item(&rr_wire::kv::Item { key: b"", kind, ttl, value: &value }).0)
        }
        Ok(Turn::Compute(number)) => Ok(Writing::default().u32(1).u64(number).0),
        Err(error) => Err(text(error)),
    }
}
