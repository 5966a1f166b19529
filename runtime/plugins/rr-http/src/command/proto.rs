//! The protobuf dialect (HTTP-01, HTTP-02): messages of `http.v1`.

use super::dialect::{Answer, Context};
use prost::Message;
use std::collections::HashMap;

#[derive(Clone, PartialEq, Message)]
struct HeaderValue {
    #[prost(bytes = "vec", repeated, tag = "1")]
    value: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, tag = "1")]
    remote_addr: String,
    #[prost(string, tag = "2")]
    protocol: String,
    #[prost(string, tag = "3")]
    method: String,
    #[prost(string, tag = "4")]
    uri: String,
    #[prost(map = "string, message", tag = "5")]
    header: HashMap<String, HeaderValue>,
    #[prost(map = "string, message", tag = "6")]
    cookies: HashMap<String, HeaderValue>,
    #[prost(string, tag = "7")]
    raw_query: String,
    #[prost(bool, tag = "8")]
    parsed: bool,
    #[prost(bytes = "vec", tag = "9")]
    uploads: Vec<u8>,
    #[prost(map = "string, message", tag = "10")]
    attributes: HashMap<String, HeaderValue>,
}

#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(int64, tag = "1")]
    status: i64,
    #[prost(map = "string, message", tag = "2")]
    headers: HashMap<String, HeaderValue>,
}

/// The context of a request.
pub(super) fn request(context: &Context<'_>) -> Vec<u8> {
    let Context { parts, payload, .. } = context;
    let owned = |values: Vec<&[u8]>| HeaderValue { value: values.into_iter().map(<[u8]>::to_vec).collect() };
    let one = |value: String| HeaderValue { value: vec![value.into_bytes()] };
    let cookies = context.cookies().into_iter();
    Request {
        remote_addr: context.remote().to_owned(),
        protocol: context.protocol().to_owned(),
        method: parts.method.to_string(),
        uri: context.uri(),
        header: context.headers().map(|(name, values)| (name, owned(values))).collect(),
        cookies: cookies.map(|(name, value)| (name.into_owned(), one(value))).collect(),
        raw_query: context.query().to_owned(),
        parsed: payload.parsed,
        uploads: payload.uploads.as_ref().map(|tree| tree.to_vec()).unwrap_or_default(),
        attributes: HashMap::new(),
    }
    .encode_to_vec()
}

/// The head of a response.
///
/// # Errors
/// It is not one.
pub(super) fn response(context: &[u8]) -> Result<Answer, String> {
    let response = Response::decode(context)
        .map_err(|error| format!("a response head that is no protobuf of one: {error}"))?;
    let headers = response.headers.into_iter();
    let headers = headers.flat_map(|(name, values)| {
        values.value.into_iter().map(move |value| (name.clone(), value)).collect::<Vec<_>>()
    });
    Ok(Answer { status: response.status, headers: headers.collect() })
}
