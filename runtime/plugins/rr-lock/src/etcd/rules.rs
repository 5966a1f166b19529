//! What a resource's keys say, and what they allow. Pure.

use super::message::KeyValue;
use crate::foreign::{Attempt, Which};

/// A lock, or a request that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) ticket: String,
    pub(super) held: bool,
    pub(super) shared: bool,
    pub(super) id: String,
    /// The revision that made it: the order of arrival.
    pub(super) place: i64,
    /// The revision that changed it last: for what is held the one that gave it, until it is prolonged.
    pub(super) changed: i64,
    pub(super) lease: i64,
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is held already, with this token.
    Held(u64),
    /// It may be taken instead of these tickets' locks.
    Free(Vec<String>),
    /// It may not.
    Taken,
}

impl Entry {
    /// What stands in the value of a key.
    pub(super) fn value(held: bool, shared: bool, id: Option<&str>) -> Vec<u8> {
        let kinds = [if held { b'h' } else { b'w' }, if shared { b's' } else { b'x' }];
        [&kinds, id.unwrap_or_default().as_bytes()].concat()
    }

    /// Reads a key below `base`; `None`: it is none of ours.
    pub(super) fn read(kv: &KeyValue, base: &str) -> Option<Self> {
        let ticket = std::str::from_utf8(kv.key.strip_prefix(base.as_bytes())?).ok()?;
        let (kinds, id) = kv.value.split_first_chunk::<2>()?;
        Some(Self {
            ticket: ticket.to_owned(),
            held: kinds[0] == b'h',
            shared: kinds[1] == b's',
            id: std::str::from_utf8(id).ok()?.to_owned(),
            place: kv.create_revision,
            changed: kv.mod_revision,
            lease: kv.lease,
        })
    }
}

/// Whether an id is one of the readers; the only one may become the writer (LK-02).
fn reads(entries: &[Entry], id: &str) -> bool {
    let mut held = entries.iter().filter(|entry| entry.held);
    !id.is_empty() && held.clone().all(|entry| entry.shared) && held.any(|entry| entry.id == id)
}

/// Who is next: a reader that wants to write, else who came first.
pub(super) fn first(entries: &[Entry]) -> Option<&Entry> {
    let waits = entries.iter().filter(|entry| !entry.held);
    waits.min_by_key(|entry| (entry.shared || !reads(entries, &entry.id), entry.place))
}

pub(super) fn decide(entries: &[Entry], attempt: &Attempt) -> Verdict {
    let own = |entry: &&Entry| *entry.ticket == *attempt.ticket;
    if let Some(entry) = entries.iter().find(|entry| own(entry) && entry.held) {
        return Verdict::Held(u64::try_from(entry.changed).unwrap_or(0));
    }
    let upgrade = !attempt.shared && reads(entries, attempt.id.as_deref().unwrap_or_default());
    let held: Vec<&Entry> = entries.iter().filter(|entry| entry.held).collect();
    let turn = first(entries).as_ref().is_none_or(own) || upgrade;
    let all_shared = held.iter().all(|entry| entry.shared);
    if !turn || !(held.is_empty() || (all_shared && (attempt.shared || (held.len() == 1 && upgrade)))) {
        return Verdict::Taken;
    }
    let replaced = if attempt.shared { Vec::new() } else { held };
    Verdict::Free(replaced.into_iter().map(|entry| entry.ticket.clone()).collect())
}

/// The locks that are meant.
pub(super) fn matching<'e>(entries: &'e [Entry], which: &'e Which) -> impl Iterator<Item = &'e Entry> {
    entries.iter().filter(move |entry| {
        entry.held
            && match which {
                Which::Ticket(ticket) => *entry.ticket == **ticket,
                Which::Id(id) => *entry.id == **id,
                Which::All => true,
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(ticket: &str, held: bool, shared: bool, id: &str, place: i64) -> Entry {
        let (ticket, id) = (ticket.to_owned(), id.to_owned());
        Entry { ticket, held, shared, id, place, changed: place, lease: 1 }
    }

    fn asked(ticket: &str, shared: bool, id: &str) -> Attempt {
        let id = (!id.is_empty()).then(|| id.into());
        Attempt { resource: "r".into(), ticket: ticket.into(), id, shared, ttl: 1, stay: 1 }
    }

    #[test]
    fn in_order_and_readers_together() {
        let reader = entry("1", true, true, "", 1);
        let free = || Verdict::Free(Vec::new());
        assert_eq!(decide(&[], &asked("1", false, "")), free());
        assert_eq!(decide(std::slice::from_ref(&reader), &asked("2", true, "")), free());
        assert_eq!(decide(std::slice::from_ref(&reader), &asked("2", false, "")), Verdict::Taken);
        assert_eq!(decide(std::slice::from_ref(&reader), &asked("1", true, "")), Verdict::Held(1));
        let writer_waits = [reader, entry("2", false, false, "", 2)];
        assert_eq!(decide(&writer_waits, &asked("3", true, "")), Verdict::Taken, "no reader passes it");
        let waits = [entry("2", false, false, "", 2), entry("3", false, true, "", 3)];
        assert_eq!(decide(&waits, &asked("2", false, "")), free());
        assert_eq!(decide(&waits, &asked("3", true, "")), Verdict::Taken);
    }

    #[test]
    fn lk_02_the_only_reader_becomes_the_writer() {
        let one = [entry("1", true, true, "a", 1), entry("2", false, false, "", 2)];
        assert_eq!(decide(&one, &asked("3", false, "a")), Verdict::Free(vec!["1".to_owned()]));
        assert_eq!(decide(&one, &asked("3", false, "b")), Verdict::Taken);
        let two = [entry("1", true, true, "a", 1), entry("2", true, true, "b", 2)];
        assert_eq!(decide(&two, &asked("3", false, "a")), Verdict::Taken);
        let waits = [&two[..], &[entry("3", false, false, "", 3), entry("4", false, false, "a", 4)]].concat();
        assert_eq!(first(&waits).map(|entry| &*entry.ticket), Some("4"));
    }

    #[test]
    fn values_there_and_back() {
        let value = Entry::value(true, false, Some("id"));
        let kv = |key: &[u8], value: &[u8]| KeyValue {
            key: key.to_vec(),
            value: value.to_vec(),
            ..KeyValue::default()
        };
        let read = Entry::read(&kv(b"r/7", &value), "r/").expect("an entry");
        assert!(read.held && !read.shared && read.id == "id" && read.ticket == "7");
        let bad = [kv(b"r/7", b"h"), kv(b"q/7", &value), kv(b"r/7", b"hx\xff"), kv(b"r/\xff", &value)];
        assert!(bad.iter().all(|kv| Entry::read(kv, "r/").is_none()));
    }
}
