//! The worker's side of the log: records go to the master one way, and what does not fit the channel is cut.

use crate::{Session, SessionError};
use rr_shm::segment::Lane;
use rr_wire::log::{Entry, Record};

impl Session {
    /// Sends a log record; waits for room, never for the master to read it. A text that is too long is cut, and
    /// says so.
    ///
    /// # Errors
    /// The channel is broken.
    pub fn log(&mut self, record: &Record<'_>) -> Result<(), SessionError> {
        const CUT: &[u8] = b" [cut]";
        let limit = self.end.max_payload(Lane::Call) - rr_wire::log::METHOD.len();
        if record.size() <= limit {
            return self.tell(rr_wire::log::METHOD, &record.encode());
        }
        // Half of a context is none.
        let empty = Record { text: b"", context: b"", ..*record };
        let room = limit - empty.size() - CUT.len();
        let mut text = record.text[..record.text.len().min(room)].to_vec();
        text.extend_from_slice(CUT);
        self.tell(rr_wire::log::METHOD, &Record { text: &text, ..empty }.encode())
    }

    /// Sends what the app logs, as [`Session::log`] does. Fields that do not fit are left out, and a field says so.
    ///
    /// # Errors
    /// The channel is broken.
    pub fn entry(&mut self, entry: &Entry<'_>) -> Result<(), SessionError> {
        const CUT: &[u8] = br#"{"cut":true}"#;
        let limit = self.end.max_payload(Lane::Call) - rr_wire::log::ENTRY.len() - 10 - 255;
        if entry.text.len() + entry.fields.len() <= limit {
            return self.tell(rr_wire::log::ENTRY, &entry.encode());
        }
        let text = entry.text.get(..limit - CUT.len()).unwrap_or(entry.text);
        self.tell(rr_wire::log::ENTRY, &Entry { text, fields: CUT, ..*entry }.encode())
    }
}
