//! `RoadRunner\Log`: the server's log for the app, with fields. A record is one message to the server that waits for
//! room at most; the server's log never waits for its outputs, and counts what it cannot write.

use super::exceptions::{Cause, of};
use crate::role::hooks;
use crate::zend;
use ext_php_rs::ffi::ZEND_ACC_ENUM;
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendHashTable, ZendObject, Zval};
use ext_php_rs::zend::ClassEntry;
use rr_wire::log::Level;
use serde_json::{Map, Number, Value};

/// The channel of records that name none, as with RoadRunner.
const CHANNEL: &str = "app";
/// Longest name of a channel.
const MAX_CHANNEL: usize = 64;
/// ZEND_INTERNAL_CLASS.
const INTERNAL_CLASS: std::ffi::c_char = 1;
/// Levels of arrays in the context; what is deeper is left out.
const MAX_DEPTH: usize = 8;

/// The server's log. What stands in the context is in fields of its own: `Log::info('paid', ['order' => 7])`.
///
/// Inside a worker the line has the number of the request; elsewhere it is written to stderr.
#[php_class]
#[php(name = "RoadRunner\\Log")]
#[php(flags = ext_php_rs::flags::ClassFlags::Final)]
pub struct Log;

/// A channel of the log: a logger's name, which `logs.channels` can give a level, a look and outputs of its own.
#[php_class]
#[php(name = "RoadRunner\\LogChannel")]
#[php(flags = ext_php_rs::flags::ClassFlags::Final)]
pub struct LogChannel(String);

/// The levels of syslog and PSR-3. The log has four; the others keep their name in the field `severity`.
const LEVELS: [(&str, Level, bool); 8] = [
    ("emergency", Level::Error, true),
    ("alert", Level::Error, true),
    ("critical", Level::Error, true),
    ("error", Level::Error, false),
    ("warning", Level::Warn, false),
    ("notice", Level::Info, true),
    ("info", Level::Info, false),
    ("debug", Level::Debug, false),
];

fn write(channel: &str, level: &str, message: &Zval, context: Option<&ZendHashTable>) -> PhpResult<()> {
    let known = LEVELS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(level));
    let Some((name, level, severity)) = known else {
        let names = LEVELS.map(|(name, ..)| name).join(", ");
        return Err(of(Cause::Other, format!("{level:?} is no level of the log; use {names}")));
    };
    // What __toString() throws is thrown here.
    let Ok(text) = zend::to_bytes(message) else { return Ok(()) };
    let mut fields = context.map(|context| object(context, 0)).unwrap_or_default();
    if *severity {
        fields.insert("severity".to_owned(), (*name).into());
    }
    let fields = if fields.is_empty() { Vec::new() } else { Value::Object(fields).to_string().into_bytes() };
    hooks::entry(*level, channel, &text, &fields);
    Ok(())
}

fn object(array: &ZendHashTable, depth: usize) -> Map<String, Value> {
    array.iter().map(|(key, value)| (key.to_string(), json(value, depth))).collect()
}

fn text(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into_owned().into()
}

/// Whatever it is: a field is better odd than missing.
fn json(value: &Zval, depth: usize) -> Value {
    let value = value.dereference();
    if let Some(string) = value.zend_str() {
        return text(string.as_bytes());
    }
    if let Some(number) = value.long() {
        return number.into();
    }
    if let Some(flag) = value.bool() {
        return flag.into();
    }
    if let Some(number) = value.double() {
        return Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number);
    }
    if let Some(array) = value.array() {
        if depth >= MAX_DEPTH {
            return "…".into();
        }
        if array.has_sequential_keys() {
            return array.values().map(|value| json(value, depth + 1)).collect();
        }
        return Value::Object(object(array, depth + 1));
    }
    match value.object() {
        Some(object) => of_object(value, object),
        None if value.is_null() => Value::Null,
        None => value.get_type().to_string().into(),
    }
}

/// An enum's value, a date, what an object says of itself (an exception: all of it), or its class.
fn of_object(value: &Zval, object: &ZendObject) -> Value {
    let class = object.get_class_entry();
    let name = || class.name().unwrap_or("object").to_owned();
    if class.ce_flags & ZEND_ACC_ENUM != 0 {
        let property =
            if object.has_property("value", ext_php_rs::types::PropertyQuery::Exists).unwrap_or(false) {
                "value"
            } else {
                "name"
            };
        return object
            .get_property::<&Zval>(property)
            .map_or_else(|_| name().into(), |value| json(value, MAX_DEPTH));
    }
    if !class.__tostring.is_null() {
        return zend::to_bytes(value).map_or_else(|_| name().into(), |bytes| text(&bytes));
    }
    // PHP's own code only: a method of the app may do anything.
    let internal = class.type_ == INTERNAL_CLASS;
    if internal && ClassEntry::try_find("DateTimeInterface").is_some_and(|date| class.instance_of(date)) {
        let date = object.try_call_method("format", vec![&"Y-m-d\\TH:i:s.vP"]);
        return date.ok().and_then(|date| date.string()).unwrap_or_else(name).into();
    }
    name().into()
}

#[php_impl]
impl Log {
    /// A channel of that name.
    ///
    /// @throws Exception the name is empty, or longer than 64 bytes
    pub fn channel(name: &str) -> PhpResult<LogChannel> {
        if name.is_empty() || name.len() > MAX_CHANNEL {
            let text =
                format!("a channel of the log has a name of 1 to {MAX_CHANNEL} bytes, got {}", name.len());
            return Err(of(Cause::Other, text));
        }
        Ok(LogChannel(name.to_owned()))
    }

    /// The server cannot be used.
    ///
    /// @param string|\Stringable $message
    /// @param array<string, mixed> $context
    pub fn emergency(message: &Zval, context: Option<&ZendHashTable>) -> PhpResult<()> {
        write(CHANNEL, "emergency", message, context)
    }

    /// Somebody must act at once.
    ///
    /// @param string|\Stringable $message
    /// @param array<string, mixed> $context
    pub fn alert(message: &Zval, context: Option<&ZendHashTable>) -> PhpResult<()> {
        write(CHANNEL, "alert", message, context)
    }

    /// A part does not work.
    ///
    /// @param string|\Stringable $message
    /// @param array<string, mixed> $context
    pub fn critical(message: &Zval, context: Option<&ZendHashTable>) -> PhpResult<()> {
        write(CHANNEL, "critical", message, context)
    }

    /// Something went wrong.
    ///
    /// @param string|\Stringable $message
    /// @param array<string, mixed> $context
    pub fn error(message: &Zval, context: Option<&ZendHashTable>) -> PhpResult<()> {
        write(CHANNEL, "error", message, context)
    }

    /// Something to look at.
    ///
    /// @param string|\Stringable $message
    /// @param array<string, mixed> $context
    pub fn warning(message: &Zval, context: Option<&ZendHashTable>) -> PhpResult<()> {
        write(CHANNEL, "warning", message, context)
    }

    /// Worth noting.
    ///
    /// @param string|\Stringable $message
    /// @param array<string, mixed> $context
    pub fn notice(message: &Zval, context: Option<&ZendHashTable>) -> PhpResult<()> {
        write(CHANNEL, "notice", message, context)
    }

    /// What happened.
    ///
    /// @param string|\Stringable $message
    /// @param array<string, mixed> $context
    pub fn info(message: &Zval, context: Option<&ZendHashTable>) -> PhpResult<()> {
        write(CHANNEL, "info", message, context)
    }

    /// For the developer.
    ///
    /// @param string|\Stringable $message
    /// @param array<string, mixed> $context
    pub fn debug(message: &Zval, context: Option<&ZendHashTable>) -> PhpResult<()> {
        write(CHANNEL, "debug", message, context)
    }

    /// Of a level by its name.
    ///
    /// @param string|\Stringable $message
    /// @param array<string, mixed> $context
    /// @throws Exception there is no such level
    pub fn log(level: &str, message: &Zval, context: Option<&ZendHashTable>) -> PhpResult<()> {
        write(CHANNEL, level, message, context)
    }
}

#[php_impl]
impl LogChannel {
    /// The server cannot be used.
    ///
    /// @param string|\Stringable $message
    /// @param array<string, mixed> $context
    pub fn emergency(&self, message: &Zval, context: Option<&ZendHashTable>) -> PhpResult<()> {
        write(&self.0, "emergency", message, context)
    }

    /// Somebody must act at once.
    ///
    /// @param string|\Stringable $message
    /// @param array<string, mixed> $context
    pub fn alert(&self, message: &Zval, context: Option<&ZendHashTable>) -> PhpResult<()> {
        write(&self.0, "alert", message, context)
    }

    /// A part does not work.
    ///
    /// @param string|\Stringable $message
    /// @param array<string, mixed> $context
    pub fn critical(&self, message: &Zval, context: Option<&ZendHashTable>) -> PhpResult<()> {
        write(&self.0, "critical", message, context)
    }

    /// Something went wrong.
    ///
    /// @param string|\Stringable $message
    /// @param array<string, mixed> $context
    pub fn error(&self, message: &Zval, context: Option<&ZendHashTable>) -> PhpResult<()> {
        write(&self.0, "error", message, context)
    }

    /// Something to look at.
    ///
    /// @param string|\Stringable $message
    /// @param array<string, mixed> $context
    pub fn warning(&self, message: &Zval, context: Option<&ZendHashTable>) -> PhpResult<()> {
        write(&self.0, "warning", message, context)
    }

    /// Worth noting.
    ///
    /// @param string|\Stringable $message
    /// @param array<string, mixed> $context
    pub fn notice(&self, message: &Zval, context: Option<&ZendHashTable>) -> PhpResult<()> {
        write(&self.0, "notice", message, context)
    }

    /// What happened.
    ///
    /// @param string|\Stringable $message
    /// @param array<string, mixed> $context
    pub fn info(&self, message: &Zval, context: Option<&ZendHashTable>) -> PhpResult<()> {
        write(&self.0, "info", message, context)
    }

    /// For the developer.
    ///
    /// @param string|\Stringable $message
    /// @param array<string, mixed> $context
    pub fn debug(&self, message: &Zval, context: Option<&ZendHashTable>) -> PhpResult<()> {
        write(&self.0, "debug", message, context)
    }

    /// Of a level by its name.
    ///
    /// @param string|\Stringable $message
    /// @param array<string, mixed> $context
    /// @throws Exception there is no such level
    pub fn log(&self, level: &str, message: &Zval, context: Option<&ZendHashTable>) -> PhpResult<()> {
        write(&self.0, level, message, context)
    }
}
