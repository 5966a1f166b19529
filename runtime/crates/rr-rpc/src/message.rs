//! The protobuf messages of the methods (section 4.1 of the compatibility contract). In JSON they have the names that
//! Go's generated structs give them; bytes are base64 and empty fields are left out.

use prost::Message;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        STANDARD.decode(text).map_err(D::Error::custom)
    }
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// `kv.v1`.
pub mod kv {
    use super::*;

    /// Items of a storage.
    #[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Request {
        /// The storage's name in the config.
        #[prost(string, tag = "1")]
        #[serde(skip_serializing_if = "is_zero")]
        pub storage: String,
        /// The items.
        #[prost(message, repeated, tag = "2")]
        #[serde(skip_serializing_if = "is_zero")]
        pub items: Vec<Item>,
    }

    /// An item.
    #[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Item {
        /// Its key.
        #[prost(string, tag = "1")]
        #[serde(skip_serializing_if = "is_zero")]
        pub key: String,
        /// Its value.
        #[prost(bytes = "vec", tag = "2")]
        #[serde(with = "base64_bytes", skip_serializing_if = "is_zero")]
        pub value: Vec<u8>,
        /// When it ends, RFC 3339; empty: never.
        #[prost(string, tag = "3")]
        #[serde(skip_serializing_if = "is_zero")]
        pub timeout: String,
    }

    /// Items found.
    #[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Response {
        /// The items.
        #[prost(message, repeated, tag = "1")]
        #[serde(skip_serializing_if = "is_zero")]
        pub items: Vec<Item>,
    }
}

/// `lock.v1beta1`.
pub mod lock {
    use super::*;

    /// A lock and who wants it.
    #[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Request {
        /// The lock's name.
        #[prost(string, tag = "1")]
        #[serde(skip_serializing_if = "is_zero")]
        pub resource: String,
        /// Who.
        #[prost(string, tag = "2")]
        #[serde(skip_serializing_if = "is_zero")]
        pub id: String,
        /// Microseconds to hold it.
        #[prost(int64, optional, tag = "3")]
        #[serde(skip_serializing_if = "is_zero")]
        pub ttl: Option<i64>,
        /// Microseconds to wait for it.
        #[prost(int64, optional, tag = "4")]
        #[serde(skip_serializing_if = "is_zero")]
        pub wait: Option<i64>,
    }

    /// What came of it.
    #[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Response {
        /// It was done.
        #[prost(bool, tag = "1")]
        #[serde(skip_serializing_if = "is_zero")]
        pub ok: bool,
    }
}

/// `service.v1`.
pub mod service {
    use super::*;

    /// A service to start.
    #[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Create {
        /// Its name.
        #[prost(string, tag = "1")]
        #[serde(skip_serializing_if = "is_zero")]
        pub name: String,
        /// What it runs.
        #[prost(string, tag = "2")]
        #[serde(skip_serializing_if = "is_zero")]
        pub command: String,
        /// How many processes.
        #[prost(int64, tag = "3")]
        #[serde(skip_serializing_if = "is_zero")]
        pub process_num: i64,
        /// Seconds each may run; 0: for ever.
        #[prost(int64, tag = "4")]
        #[serde(skip_serializing_if = "is_zero")]
        pub exec_timeout: i64,
        /// Starts again after its end (SV-02).
        #[prost(bool, tag = "5")]
        #[serde(skip_serializing_if = "is_zero")]
        pub remain_after_exit: bool,
        /// Its environment.
        #[prost(map = "string, string", tag = "6")]
        #[serde(skip_serializing_if = "is_zero")]
        pub env: HashMap<String, String>,
        /// Seconds between end and start.
        #[prost(uint64, tag = "7")]
        #[serde(skip_serializing_if = "is_zero")]
        pub restart_sec: u64,
        /// Its name is in the log's.
        #[prost(bool, tag = "8")]
        #[serde(skip_serializing_if = "is_zero")]
        pub service_name_in_logs: bool,
        /// Seconds between SIGINT and SIGKILL.
        #[prost(uint64, tag = "9")]
        #[serde(skip_serializing_if = "is_zero")]
        pub timeout_stop_sec: u64,
    }

    /// A service.
    #[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Service {
        /// Its name.
        #[prost(string, tag = "1")]
        #[serde(skip_serializing_if = "is_zero")]
        pub name: String,
    }

    /// What came of it.
    #[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Response {
        /// Words.
        #[prost(string, tag = "1")]
        #[serde(skip_serializing_if = "is_zero")]
        pub message: String,
        /// It was done.
        #[prost(bool, tag = "2")]
        #[serde(skip_serializing_if = "is_zero")]
        pub ok: bool,
    }

    /// All services.
    #[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
    #[serde(default)]
    pub struct List {
        /// Their names.
        #[prost(string, repeated, tag = "1")]
        #[serde(skip_serializing_if = "is_zero")]
        pub services: Vec<String>,
    }

    /// A process of a service.
    #[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Status {
        /// Percent of a processor.
        #[prost(float, tag = "1")]
        #[serde(skip_serializing_if = "is_zero")]
        pub cpu_percent: f32,
        /// Process id.
        #[prost(int32, tag = "2")]
        #[serde(skip_serializing_if = "is_zero")]
        pub pid: i32,
        /// Bytes.
        #[prost(uint64, tag = "3")]
        #[serde(skip_serializing_if = "is_zero")]
        pub memory_usage: u64,
        /// What it runs.
        #[prost(string, tag = "4")]
        #[serde(skip_serializing_if = "is_zero")]
        pub command: String,
        /// What is wrong with it.
        #[prost(message, optional, tag = "5")]
        #[serde(skip_serializing_if = "is_zero")]
        pub status: Option<super::common::Status>,
    }

    /// The processes of a service.
    #[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Statuses {
        /// Each.
        #[prost(message, repeated, tag = "1")]
        #[serde(skip_serializing_if = "is_zero")]
        pub status: Vec<Status>,
    }
}

/// `common.v1`.
pub mod common {
    use super::*;

    /// What is wrong.
    #[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Status {
        /// A number.
        #[prost(int32, tag = "1")]
        #[serde(skip_serializing_if = "is_zero")]
        pub code: i32,
        /// Words.
        #[prost(string, tag = "2")]
        #[serde(skip_serializing_if = "is_zero")]
        pub message: String,
    }
}

/// `status.v1`.
pub mod status {
    use super::*;

    /// Whose status.
    #[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Request {
        /// A plugin.
        #[prost(string, tag = "1")]
        #[serde(skip_serializing_if = "is_zero")]
        pub plugin: String,
    }

    /// The status.
    #[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Response {
        /// 200 or 503.
        #[prost(int64, tag = "1")]
        #[serde(skip_serializing_if = "is_zero")]
        pub code: i64,
        /// Words.
        #[prost(string, tag = "2")]
        #[serde(skip_serializing_if = "is_zero")]
        pub message: String,
    }
}

/// `applogger.v1`.
pub mod applogger {
    use super::*;

    /// A line for the log.
    #[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
    #[serde(default)]
    pub struct LogEntry {
        /// The message.
        #[prost(string, tag = "1")]
        #[serde(skip_serializing_if = "is_zero")]
        pub message: String,
        /// Its fields.
        #[prost(message, repeated, tag = "2")]
        #[serde(skip_serializing_if = "is_zero")]
        pub log_attrs: Vec<LogAttrs>,
    }

    /// A field.
    #[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
    #[serde(default)]
    pub struct LogAttrs {
        /// Its name.
        #[prost(string, tag = "1")]
        #[serde(skip_serializing_if = "is_zero")]
        pub key: String,
        /// Its value.
        #[prost(string, tag = "2")]
        #[serde(skip_serializing_if = "is_zero")]
        pub value: String,
    }

    /// Nothing.
    #[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Response {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, Message as _, Proto};

    #[test]
    fn an_item_on_the_wire_and_in_json() {
        let item = kv::Item { key: "k".into(), value: b"v".to_vec(), timeout: String::new() };
        let request = Proto(kv::Request { storage: "s".into(), items: vec![item] });
        let wire = request.encode(Codec::Proto).expect("encodes");
        assert_eq!(wire, b"\x0a\x01s\x12\x06\x0a\x01k\x12\x01v");
        assert_eq!(Proto::decode(Codec::Proto, &wire), Ok(request.clone()));
        let json = request.encode(Codec::Json).expect("encodes");
        assert_eq!(json, br#"{"storage":"s","items":[{"key":"k","value":"dg=="}]}"#);
        assert_eq!(Proto::decode(Codec::Json, &json), Ok(request));
        assert!(Proto::<kv::Request>::decode(Codec::Proto, b"\x12\xff").is_err());
        assert!(Proto::<kv::Request>::decode(Codec::Json, b"{").is_err());
    }

    #[test]
    fn optional_numbers_tell_zero_from_nothing() {
        let given = Proto(lock::Request { resource: "r".into(), id: "i".into(), ttl: Some(0), wait: None });
        let wire = given.encode(Codec::Proto).expect("encodes");
        assert_eq!(Proto::decode(Codec::Proto, &wire), Ok(given));
    }
}
