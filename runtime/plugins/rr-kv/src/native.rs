//! The methods of workers, with bodies of [`rr_wire::kv`]. Each begins with the storage's name.

use crate::memory::{Item, Memory, Turn};
use crate::methods::Storages;
use rr_pool::{Answer, Caller};
use rr_rpc::Service;
use rr_wire::kv::{CutOff, Reading, Writing};
use std::sync::Arc;

type Done = Result<Vec<u8>, String>;

/// Adds the methods to those of the RPC.
pub(crate) fn add(service: Service, storages: &Storages) -> Service {
    let with = |run: fn(&Memory, &mut Reading<'_>) -> Result<Done, CutOff>| {
        let storages = storages.clone();
        move |_: &Caller, body: &[u8]| {
            let mut reading = Reading::new(body);
            let done = reading.text().map_err(|error| error.to_string()).and_then(|name| {
                let storage = storages.find(name)?;
                run(storage, &mut reading).map_err(|error| error.to_string())?
            });
            Answer::Now(done)
        }
    };
    let all = storages.clone();
    service
        .native("Get", with(get))
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

fn flag(flag: bool) -> Done {
    Ok(vec![u8::from(flag)])
}

/// Keys; items of those that are there.
fn get(storage: &Memory, body: &mut Reading<'_>) -> Result<Done, CutOff> {
    let now = Memory::now();
    let mut found = Writing::default();
    while !body.is_over() {
        let key = body.text()?;
        if let Some(Item { kind, value, ttl }) = storage.get(key, now) {
            found = found.item(&rr_wire::kv::Item { key, kind, ttl, value: &value });
        }
    }
    Ok(Ok(found.0))
}

/// Items; all or none, unless there is no room.
fn set(storage: &Memory, body: &mut Reading<'_>) -> Result<Done, CutOff> {
    let now = Memory::now();
    let mut items = Vec::new();
    while !body.is_over() {
        items.push(body.item()?);
    }
    for item in items {
        if let Err(error) = storage.set(item.key, item.kind, item.value, item.ttl, now) {
            return Ok(Err(text(error)));
        }
    }
    Ok(Ok(Vec::new()))
}

/// Keys; how many were there.
fn delete(storage: &Memory, body: &mut Reading<'_>) -> Result<Done, CutOff> {
    let (now, mut count) = (Memory::now(), 0_u32);
    while !body.is_over() {
        count += u32::from(storage.delete(body.text()?, now));
    }
    Ok(Ok(count.to_le_bytes().to_vec()))
}

fn clear(storage: &Memory, _: &mut Reading<'_>) -> Result<Done, CutOff> {
    storage.clear();
    Ok(Ok(Vec::new()))
}

/// A time in milliseconds, 0 for ever, and a key; whether it was there.
fn expire(storage: &Memory, body: &mut Reading<'_>) -> Result<Done, CutOff> {
    let ttl = body.u64()?;
    Ok(flag(storage.expire(body.text()?, ttl, Memory::now())))
}

/// A number, a time and a key; the sum.
fn increment(storage: &Memory, body: &mut Reading<'_>) -> Result<Done, CutOff> {
    let (by, ttl) = (body.u64()?.cast_signed(), body.u64()?);
    let sum = storage.increment(body.text()?, by, ttl, Memory::now());
    Ok(sum.map(|sum| sum.to_le_bytes().to_vec()).map_err(text))
}

/// 1 and kind and value that are expected, or 0 for none; the item. Whether it was set.
fn compare_and_set(storage: &Memory, body: &mut Reading<'_>) -> Result<Done, CutOff> {
    let expected = match body.u32()? {
        0 => None,
        _ => Some((body.u32()?, body.text()?)),
    };
    let item = body.item()?;
    let set = storage.compare_and_set(item.key, expected, (item.kind, item.value), item.ttl, Memory::now());
    Ok(set.map_err(text).and_then(flag))
}

/// The number of a task, the patience of the next one and a key.
fn give_up(storage: &Memory, body: &mut Reading<'_>) -> Result<Done, CutOff> {
    let (number, patience) = (body.u64()?, body.u64()?);
    storage.give_up(body.text()?, number, patience, Memory::now());
    Ok(Ok(Vec::new()))
}

/// Patience in milliseconds, 1 to take a stale value, and a key. 0 and an item, or 1 and the number of a task.
fn compute(storages: &Storages, caller: &Caller, body: &[u8]) -> Answer {
    let mut reading = Reading::new(body);
    let asked = (|| {
        let storage = Arc::clone(storages.find(reading.text().map_err(text)?)?);
        let (patience, stale) = (reading.u64().map_err(text)?, reading.u32().map_err(text)?);
        let key = reading.text().map_err(text)?;
        storage.compute(caller.worker, key, patience, stale != 0, Memory::now()).map_err(text)
    })();
    let answer = |turn: Turn| match turn {
        Turn::Found(Item { kind, value, ttl }) => {
            Writing::default().u32(0).item(&rr_wire::kv::Item { key: b"", kind, ttl, value: &value }).0
        }
        Turn::Compute(number) => Writing::default().u32(1).u64(number).0,
    };
    match asked {
        Err(error) => Answer::Now(Err(error)),
        Ok(Ok(turn)) => Answer::Now(Ok(answer(turn))),
        Ok(Err(later)) => Answer::Later(Box::pin(async move {
            // The storage was cleared, or nobody is left who computes: the caller may.
            Ok(answer(later.await.unwrap_or(Turn::Compute(0))))
        })),
    }
}
