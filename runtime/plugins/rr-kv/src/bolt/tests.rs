//! The file: what is stored is there again, what is torn says so, what has ended goes.

use super::*;
use std::os::unix::fs::PermissionsExt;

fn settings(dir: &tempfile::TempDir) -> Settings {
    Settings { file: dir.path().join("rr.db"), mode: 0o640, interval: Duration::from_millis(20) }
}

fn open(dir: &tempfile::TempDir) -> Bolt {
    Bolt::open("test", settings(dir)).expect("a file")
}

fn wait<T>(done: Done<T>) -> Result<T, KvError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(done.wait())
}

fn entry<'a>(key: &'a str, value: &'a str, ttl: u64) -> Entry<'a> {
    Entry { key: key.as_bytes(), kind: kind::STRING, ttl, value: value.as_bytes() }
}

fn shown(bolt: &Bolt, key: &str) -> Option<String> {
    let item = wait(bolt.get(&[key.as_bytes()])).expect("read").pop().flatten()?;
    Some(format!("{} {}", String::from_utf8_lossy(&item.value), item.ttl.div_ceil(60_000)))
}

#[test]
fn kv_07_what_is_stored_is_there_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let bolt = open(&dir);
    wait(bolt.set(&[entry("a", "1", 0), entry("b", "2", 60_000), entry("c", "3", 1)])).expect("set");
    assert_eq!(wait(bolt.increment(b"n", 5, 0)), Ok(5));
    assert_eq!(wait(bolt.increment(b"a", i64::MAX, 0)), Err(KvError::Overflow("a".to_owned())));
    assert!(wait(bolt.compare_and_set(Some((kind::STRING, b"1")), &entry("a", "one", 0))).expect("set"));
    assert!(!wait(bolt.compare_and_set(None, &entry("a", "no", 0))).expect("compared"));
    let busy = Bolt::open("other", settings(&dir)).expect_err("one at a time");
    assert!(busy.to_string().ends_with("another process has it open"), "{busy}");
    drop(bolt);
    let bolt = open(&dir);
    assert_eq!(shown(&bolt, "a").as_deref(), Some("one 0"));
    assert_eq!(shown(&bolt, "b").as_deref(), Some("2 1"));
    assert_eq!(wait(bolt.increment(b"n", -7, 0)), Ok(-2));
    assert_eq!(wait(bolt.expire(&[(b"a", 60_000), (b"x", 1)])), Ok(1));
    assert_eq!(shown(&bolt, "a").as_deref(), Some("one 1"));
    assert_eq!(wait(bolt.delete(&[b"a", b"x"])), Ok(1));
    wait(bolt.clear()).expect("cleared");
    assert_eq!((shown(&bolt, "a"), shown(&bolt, "b")), (None, None));
    let mode = std::fs::metadata(dir.path().join("rr.db")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn what_has_ended_is_gone_and_takes_no_room() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = File::open(settings(&dir)).expect("a file");
    let (reply, mut swept) = oneshot::channel();
    let run = |tables: &mut Tables<'_>| {
        tables.set(b"old", 0, 1, b"x")?;
        tables.set(b"older", 0, 1, b"x")?;
        tables.set(b"new", 0, u64::MAX, b"x")?;
        // One that has got another end is not swept.
        tables.set(b"older", 0, 0, b"x")?;
        assert!(tables.get(b"old")?.is_none());
        Ok(Ok((tables.sweep(10)?, tables.sweep(10)?, tables.remove(b"old")?)))
    };
    file.write(vec![Box::new(Op { run, result: Err(gone()), reply })]);
    assert_eq!(swept.try_recv(), Ok(Ok((1, 0, false))));
    let found = file.read(&[b"old".to_vec(), b"older".to_vec(), b"new".to_vec()]).expect("read");
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, true]);
}

#[test]
fn a_change_that_fails_takes_no_other_with_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = File::open(settings(&dir)).expect("a file");
    let mut answers = Vec::new();
    let mut changes: Vec<Box<dyn Change>> = Vec::new();
    for number in 0..3_u8 {
        let (reply, receiver) = oneshot::channel();
        let run = move |tables: &mut Tables<'_>| match number {
            1 => Err(redb::Error::Io(std::io::Error::from(std::io::ErrorKind::StorageFull))),
            _ => Ok(Ok(tables.set(&[number], 0, 0, b"x")?)),
        };
        changes.push(Box::new(Op { run, result: Err(gone()), reply }));
        answers.push(receiver);
    }
    file.write(changes);
    let done: Vec<_> =
        answers.iter_mut().map(|answer| answer.try_recv().expect("an answer").is_ok()).collect();
    assert_eq!(done, [true, false, true]);
    let found = file.read(&[vec![0], vec![1], vec![2]]).expect("read");
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn a_torn_file_is_an_error_that_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("rr.db");
    let bolt = open(&dir);
    for number in 0..200 {
        let key = format!("key {number}");
        wait(bolt.set(&[entry(&key, &"v".repeat(500), 0)])).expect("set");
    }
    drop(bolt);
    let whole = std::fs::read(&path).expect("the file");
    let half = whole.len() / 2;
    let mut zeroed = whole.clone();
    zeroed[4096..half].fill(0);
    let mut tail = whole.clone();
    tail[half..].fill(0xff);
    for torn in
        [b"no database".to_vec(), vec![0; 8192], whole[..half].to_vec(), whole[..100].to_vec(), zeroed, tail]
    {
        std::fs::write(&path, &torn).expect("written");
        match Bolt::open("test", settings(&dir)) {
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("rr.db: it is no file of this server"), "{text}");
            }
            // Where the damage hit only what is not in use, everything must be there.
            Ok(bolt) => assert!(shown(&bolt, "key 199").is_some() && shown(&bolt, "key 0").is_some()),
        }
    }
}
