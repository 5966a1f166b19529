//! Replays the corpus of the fuzz target `frames`: nothing panics, and the seeds are what their names say.

use rr_wire::Header;
use rr_wire::http::{RequestView, ResponseView};
use rr_wire::log::Record;
use std::path::Path;

#[test]
fn the_corpus_is_survived_and_its_seeds_are_what_they_are_called() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz/corpus/frames");
    let mut kinds = [0; 5];
    for entry in std::fs::read_dir(&folder).expect("the corpus folder") {
        let path = entry.expect("an entry").path();
        let data = std::fs::read(&path).expect("a file");
        rr_wire::fuzz(&data);
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        // What a fuzzer finds is called by a hash and promises nothing.
        let (kind, sound) = match name.split_once('-').map(|(kind, _)| kind) {
            Some("frame") => {
                (0, Header::parse(&data).is_ok_and(|(h, n)| n + h.payload as usize == data.len()))
            }
            Some("request") => (1, RequestView::parse(&data).is_ok()),
            Some("response") => (2, ResponseView::parse(&data).is_ok()),
            Some("log") => (3, Record::parse(&data).is_some()),
            _ => (4, true),
        };
        assert!(sound, "{name} is not what it is called");
        kinds[kind] += 1;
    }
    assert!(!kinds.contains(&0), "seeds of every kind: {kinds:?}");
}
