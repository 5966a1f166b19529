//! Replays the corpus of the fuzz target `config`: nothing panics, and the seeds are what their names say.

use rr_config::Loader;
use std::path::Path;

#[test]
fn the_corpus_is_survived_and_its_seeds_are_what_they_are_called() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz/corpus/config");
    let mut kinds = [0; 3];
    for entry in std::fs::read_dir(&folder).expect("the corpus folder") {
        let path = entry.expect("an entry").path();
        let data = std::fs::read(&path).expect("a file");
        rr_config::fuzz(&data);
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = String::from_utf8_lossy(&data);
        let load = || Loader::new().text(&name, &text).env(&|_| None).load();
        // What a fuzzer finds is called by a hash and promises nothing.
        let (kind, fault) = match name.split_once('-').map(|(kind, _)| kind) {
            Some("valid") => (0, load().err().map(|error| error.to_string())),
            Some("wrong") => (1, load().is_ok().then(|| "loads".to_owned())),
            _ => (2, None),
        };
        assert_eq!(fault, None, "{name} is not what it is called");
        kinds[kind] += 1;
    }
    assert!(!kinds.contains(&0), "seeds of every kind: {kinds:?}");
}
