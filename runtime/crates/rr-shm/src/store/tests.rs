//! The store against a map, and its readers beside a writer.

use super::*;
use crate::table::Reader;
use proptest::prelude::*;
use std::collections::HashMap;

const SEEDS: [u64; 4] = [1, 2, 3, 4];

fn read(reader: &Reader, key: &[u8], now: u64) -> Option<Vec<u8>> {
    let found = reader.find(key, || now).expect("not busy")?;
    let mut value = vec![0; found.length];
    assert!(reader.copy(&found, &mut value), "nobody writes");
    Some(value)
}

fn both(limit: usize, eviction: Eviction) -> (Store, Reader) {
    let (store, files) = Store::create(limit, eviction, SEEDS).expect("a table");
    let reader = Reader::attach(&files.table, &files.touched).expect("maps");
    (store, reader)
}

#[test]
fn what_is_set_is_read() {
    let (mut store, reader) = both(1 << 20, Eviction::None);
    for (key, value) in [("a", "one"), ("", "no key"), ("b", ""), ("key of 8", "12345678"), ("a", "two")] {
        store.set(key.as_bytes(), 7, value.as_bytes(), 0).expect("room");
        assert_eq!(read(&reader, key.as_bytes(), 0).as_deref(), Some(value.as_bytes()), "{key}");
    }
    assert_eq!((store.len(), read(&reader, b"c", 0)), (4, None));
    assert!(store.delete(b"a", 0) && !store.delete(b"a", 0));
    assert_eq!(read(&reader, b"a", 0), None);
    let large = vec![7; 1 << 19];
    store.set(b"large", 0, &large, 0).expect("room");
    assert_eq!(read(&reader, b"large", 0), Some(large));
    store.clear();
    assert_eq!((store.len(), store.used(), read(&reader, b"large", 0)), (0, 0, None));
}

#[test]
fn entries_end_to_the_millisecond() {
    let (mut store, reader) = both(1 << 20, Eviction::None);
    store.set(b"k", 0, b"v", 1000).expect("room");
    assert_eq!(read(&reader, b"k", 999).as_deref(), Some(&b"v"[..]));
    assert_eq!((read(&reader, b"k", 1000), store.get(b"k", 1000).is_none()), (None, true));
    assert!(!store.expire(b"k", 2000, 1000), "it is over");
    store.set(b"k", 0, b"v", 3000).expect("room");
    assert!(store.expire(b"k", 2000, 1000));
    assert_eq!(store.next_deadline(), Some(1000), "of the first one, which is not there any more");
    assert!(!store.sweep(1999, 100) && store.len() == 1);
    assert!(!store.sweep(2000, 100) && store.is_empty());
    store.set(b"k", 0, b"v", 0).expect("room");
    assert!(!store.sweep(u64::MAX, 100) && store.len() == 1);
}

#[test]
fn a_full_storage_says_so_or_lets_the_oldest_go() {
    let value = [0; 1000];
    let (mut store, _) = both(64 << 10, Eviction::None);
    let fitted = (0_u32..).take_while(|n| store.set(&n.to_le_bytes(), 0, &value, 0).is_ok()).count();
    assert!((55..64).contains(&fitted), "{fitted}");
    assert_eq!(store.set(b"x", 0, &value, 0), Err(Full::NoRoom { limit: 64 << 10 }));
    store.set(&0_u32.to_le_bytes(), 0, &value, 0).expect("in place of its own");
    assert!(matches!(store.set(b"x", 0, &[0; 65 << 10], 0), Err(Full::TooLarge { .. })));

    let (mut store, reader) = both(64 << 10, Eviction::Lru);
    for n in 0_u32..1000 {
        store.set(&n.to_le_bytes(), 0, &value, 0).expect("others leave");
        assert!(read(&reader, &0_u32.to_le_bytes(), 0).is_some(), "what is read stays, {n}");
    }
    assert!(store.evicted() > 900 && read(&reader, &1_u32.to_le_bytes(), 0).is_none());

    let (mut store, reader) = both(64 << 10, Eviction::Fifo);
    for n in 0_u32..1000 {
        store.set(&n.to_le_bytes(), 0, &value, 0).expect("others leave");
        let _ = read(&reader, &0_u32.to_le_bytes(), 0);
    }
    assert!(read(&reader, &0_u32.to_le_bytes(), 0).is_none());
}

#[test]
fn entries_that_are_replaced_leave_no_deadlines_behind() {
    let (mut store, _) = both(1 << 20, Eviction::None);
    for n in 0..100_000 {
        store.set(b"k", 0, b"v", 1000 + n).expect("room");
    }
    assert!(store.deadlines.len() < 2000, "{}", store.deadlines.len());
}

#[test]
fn a_table_cannot_be_mapped_for_writing_and_junk_is_no_table() {
    let (_store, files) = Store::create(1 << 16, Eviction::None, SEEDS).expect("a table");
    let part = rr_os::memory::Part { offset: 0, length: 4096, twice: false };
    assert!(rr_os::memory::Mapping::new(&files.table, &[part]).is_err(), "sealed");
    let junk = rr_os::memory::sealed("junk", 4096).expect("memory");
    assert!(Reader::attach(&junk, &files.touched).is_err());
}

/// Readers never see half of a value, whatever the writer does; every value says what it is.
#[test]
fn a_million_reads_beside_a_writer_are_whole() {
    let (mut store, files) = Store::create(256 << 10, Eviction::Lru, SEEDS).expect("a table");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (stop, files) = (&stop, &files);
        for seed in 0..2_u64 {
            scope.spawn(move || {
                let reader = Reader::attach(&files.table, &files.touched).expect("maps");
                let (mut random, mut hits) = (seed, 0);
                for _ in 0..500_000 {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let key = (random >> 33) % 600;
                    let Ok(Some(found)) = reader.find(&key.to_le_bytes(), || 0) else { continue };
                    let mut value = vec![0; found.length];
                    if reader.copy(&found, &mut value) {
                        hits += 1;
                        let (name, rest) = value.split_at(8);
                        assert_eq!(name, key.to_le_bytes(), "another key's value");
                        assert!(rest.iter().all(|byte| *byte == rest[0]), "half of a value");
                    }
                }
                stop.store(true, Ordering::Relaxed);
                assert!(hits > 1000, "{hits}");
            });
        }
        let mut round = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            round = round.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(3);
            let key = (round >> 40) % 600;
            let mut value = key.to_le_bytes().to_vec();
            value.resize(9 + (round >> 20) as usize % 900, round.to_le_bytes()[7]);
            match round % 16 {
                0 => _ = store.delete(&key.to_le_bytes(), 0),
                _ => store.set(&key.to_le_bytes(), 0, &value, 0).expect("others leave"),
            }
        }
    });
}

#[derive(Debug, Clone)]
enum Step {
    Set(u8, u16, u64),
    Delete(u8),
    Expire(u8, u64),
    Sweep,
    Clear,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..40_u8, 0..2000_u16, prop_oneof![Just(0), 1..200_u64]).prop_map(|(k, v, t)| Step::Set(k, v, t)),
        3 => (0..40_u8).prop_map(Step::Delete),
        2 => (0..40_u8, prop_oneof![Just(0), 1..200_u64]).prop_map(|(k, t)| Step::Expire(k, t)),
        2 => Just(Step::Sweep),
        1 => Just(Step::Clear),
        3 => (1..100_u64).prop_map(Step::Pass),
    ]
}

proptest! {
    /// The store against a map that knows when things end.
    #[test]
    fn a_store_is_a_map(steps in proptest::collection::vec(step(), 1..300)) {
        let (mut store, reader) = both(1 << 20, Eviction::None);
        let mut model: HashMap<u8, (Vec<u8>, u64)> = HashMap::new();
        let mut now = 1_u64;
        let end = |now: u64, ttl: u64| if ttl == 0 { 0 } else { now + ttl };
        for step in steps {
            match step {
                Step::Set(key, length, ttl) => {
                    let value = vec![key; usize::from(length)];
                    store.set(&[key], 1, &value, end(now, ttl)).expect("room");
                    model.insert(key, (value, end(now, ttl)));
                }
                Step::Delete(key) => {
                    prop_assert_eq!(store.delete(&[key], now), model.remove(&key).is_some());
                }
                Step::Expire(key, ttl) => {
                    let there = store.expire(&[key], end(now, ttl), now);
                    let entry = model.get_mut(&key);
                    prop_assert_eq!(there, entry.is_some());
                    if let Some(entry) = entry {
                        entry.1 = end(now, ttl);
                    }
                }
                Step::Sweep => while store.sweep(now, 8) {},
                Step::Clear => {
                    store.clear();
                    model.clear();
                }
                Step::Pass(by) => now += by,
            }
            model.retain(|_, (_, expires)| *expires == 0 || *expires > now);
            for key in 0..40_u8 {
                let wanted = model.get(&key).map(|(value, _)| value.clone());
                prop_assert_eq!(store.get(&[key], now).map(|entry| entry.value.to_vec()), wanted.clone());
                prop_assert_eq!(read(&reader, &[key], now), wanted);
            }
            prop_assert!(store.len() >= model.len());
        }
        store.sweep(u64::MAX, usize::MAX);
        store.clear();
        prop_assert_eq!((store.used(), store.len()), (0, 0));
        // All of the arena is free again.
        store.set(b"all", 0, &vec![0; (1 << 20) - 4096], 0).expect("room");
    }
}
