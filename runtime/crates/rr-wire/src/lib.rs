//! Wire formats: goridge frames (rows FR-01…08) and the contexts that the master and its own workers put
//! into them. Pure functions over bytes; knows nothing of rings, sockets, processes or PHP.
#![forbid(unsafe_code)]

pub mod cookie;
pub mod fastcgi;
pub mod form;
pub mod frame;
pub mod http;
pub mod kv;
pub mod lock;
pub mod log;
pub mod metrics;
pub mod relay;
pub mod report;
pub mod rpc;
pub mod vitals;

/// The version of RoadRunner whose place this server takes; clients and drivers compare it.
pub const COMPATIBLE: &str = "2025.1.15";

pub use frame::{Bits, Flags, FrameError, Header, MAX_HEADER, PREFIX};

/// Feeds arbitrary bytes to every parser of this crate. Used by the fuzz target and by the corpus replay.
pub fn fuzz(data: &[u8]) {
    let _ = form::Parts::new(data).count();
    fastcgi::fuzz(data);
    if let Ok((header, used)) = Header::parse(data) {
        let mut again = [0_u8; MAX_HEADER];
        let length = header.encode(&mut again);
        assert_eq!(&again[..length], &data[..used], "a parsed header encodes to the bytes it came from");
        if let Some(payload) = data.get(used..) {
            let _ = rpc::Call::parse(&header, payload);
        }
    }
    for chunk in [1, 7, data.len().max(1)] {
        let mut decoder = relay::Decoder::default();
        let sound = data.chunks(chunk).try_for_each(|part| {
            decoder.push(part);
            while decoder.next()?.is_some() {}
            Ok::<_, relay::RelayError>(())
        });
        let _ = (sound, decoder.stray());
    }
    let _ = log::Record::parse(data);
    if let Some(acquire) = lock::Acquire::parse(data) {
        assert_eq!(lock::Acquire::parse(&acquire.encode()), Some(acquire));
    }
    let _ = report::Report::parse(&String::from_utf8_lossy(data)).map(|report| report.encode(4096));
    if let Ok(head) = http::RequestView::parse(data) {
        let _ = head.headers().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let _ = (head.method(), head.target(), head.authority(), head.remote(), head.version());
    }
    if let Ok(head) = http::ResponseView::parse(data) {
        let _ = head.headers().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    }
}
