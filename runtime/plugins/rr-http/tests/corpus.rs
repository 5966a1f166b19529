//! Replays the corpora of this crate's fuzz targets.

use std::path::Path;

fn replay(name: &str, run: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz/corpus").join(name);
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus folder") {
        run(&std::fs::read(entry.expect("an entry").path()).expect("a file"));
        seen += 1;
    }
    assert!(seen > 0, "{name}: no seeds");
}

#[test]
fn the_corpora_are_survived() {
    replay("multipart", rr_http::fuzz_multipart);
    replay("range", rr_http::fuzz_range);
    replay("forwarded", rr_http::fuzz_forwarded);
}
