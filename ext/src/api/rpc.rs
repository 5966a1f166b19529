//! `RoadRunner\Rpc`: any method of the server by its name, as clients of `rpc.listen` call it, without a socket.

use super::Text;
use super::exceptions::{Cause, of, of_session};
use crate::role::session;
use crate::zend::values::{each_entry, insert};
use ext_php_rs::convert::IntoZval;
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendHashTable, Zval};
use rr_wire::Flags;
use serde_json::{Map, Number, Value};

/// Levels of arrays, as in serde_json.
const MAX_DEPTH: usize = 127;

/// Calls of RoadRunner's RPC methods: `Rpc::call('informer.Workers', 'http')`.
#[php_class]
#[php(name = "RoadRunner\\Rpc")]
#[php(flags = ext_php_rs::flags::ClassFlags::Final)]
pub struct Rpc;

#[php_impl]
impl Rpc {
    /// Calls a method of the server and waits for its result. Argument and result are what JSON can say: null, bools,
    /// numbers, texts in UTF-8 and arrays of them.
    ///
    /// @throws RpcException the method failed, or there is none of that name
    /// @throws RoleException outside of a worker
    pub fn call(method: &str, argument: Option<&Zval>) -> PhpResult<Zval> {
        let value = argument.map_or(Ok(Value::Null), |argument| to_json(argument, 0))?;
        let json = match argument {
            // RP-05: nothing is the zero value.
            None => Vec::new(),
            Some(_) => serde_json::to_vec(&value).map_err(failed)?,
        };
        let answer = session::with(|session| session.call_in(Flags::JSON, method, &json))?;
        let answer = answer.map_err(|error| match &error {
            rr_worker::SessionError::Refused(text) => of(Cause::Rpc, text),
            _ => of_session(&error),
        })?;
        from_json(&serde_json::from_slice(&answer).map_err(failed)?)
    }
}

fn failed(error: impl std::fmt::Display) -> PhpException {
    of(Cause::Rpc, error.to_string())
}

fn to_json(value: &Zval, depth: usize) -> PhpResult<Value> {
    if depth > MAX_DEPTH {
        return Err(failed("the argument is nested too deeply"));
    }
    let value = value.dereference();
    let text = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes);
        text.map(|text| Value::String(text.to_owned())).map_err(|_| failed("a text that is not UTF-8"))
    };
    if let Some(string) = value.zend_str() {
        return text(string.as_bytes());
    }
    if let Some(number) = value.long() {
        return Ok(number.into());
    }
    if let Some(flag) = value.bool() {
        return Ok(flag.into());
    }
    if let Some(number) = value.double() {
        return Number::from_f64(number).map(Value::Number).ok_or_else(|| failed("INF and NAN are no JSON"));
    }
    if value.is_null() {
        return Ok(Value::Null);
    }
    let Some(array) = value.array() else {
        return Err(failed(format!(
            "{}: expected null, a bool, a number, a string or an array",
            value.get_type()
        )));
    };
    if array.has_sequential_keys() {
        return Ok(Value::Array(
            array.values().map(|value| to_json(value, depth + 1)).collect::<PhpResult<_>>()?,
        ));
    }
    let mut entries = Vec::with_capacity(array.len());
    each_entry(array, |key, value| entries.push((key.to_vec(), value.shallow_clone())));
    let mut pairs = Map::new();
    for (key, value) in &entries {
        let Ok(key) = std::str::from_utf8(key) else { return Err(failed("a key that is not UTF-8")) };
        pairs.insert(key.to_owned(), to_json(value, depth + 1)?);
    }
    Ok(Value::Object(pairs))
}

/// What JSON says, in PHP.
pub(crate) fn from_json(value: &Value) -> PhpResult<Zval> {
    let mut zval = Zval::new();
    match value {
        Value::Null => zval.set_null(),
        Value::Bool(flag) => zval.set_bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(number) => zval.set_long(number),
            None => zval.set_double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Text::new(text).set_zval(&mut zval, false).map_err(failed)?,
        Value::Array(values) => {
            let mut array = ZendHashTable::with_capacity(u32::try_from(values.len()).unwrap_or(0));
            for value in values {
                array.push(from_json(value)?).map_err(failed)?;
            }
            zval.set_hashtable(array);
        }
        Value::Object(pairs) => {
            let mut array = ZendHashTable::new();
            for (key, value) in pairs {
                insert(&mut array, key.as_bytes(), from_json(value)?);
            }
            zval.set_hashtable(array);
        }
    }
    Ok(zval)
}
