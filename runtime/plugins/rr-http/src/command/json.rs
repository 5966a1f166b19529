//! The JSON dialect (HTTP-03), which every generation of the clients reads.

use super::dialect::{Answer, Context};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use std::fmt;

/// The context of a request.
pub(super) fn request(context: &Context<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1024);
    // Texts and numbers into memory: neither fails.
    let _ = serde_json::to_writer(&mut bytes, &Request(context));
    bytes
}

struct Request<'a>(&'a Context<'a>);

impl Serialize for Request<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Context { parts, payload, .. } = self.0;
        let mut map = serializer.serialize_map(Some(10))?;
        map.serialize_entry("remoteAddr", self.0.remote())?;
        map.serialize_entry("protocol", self.0.protocol())?;
        map.serialize_entry("method", parts.method.as_str())?;
        map.serialize_entry("uri", &self.0.uri())?;
        map.serialize_entry("headers", &Headers(self.0))?;
        map.serialize_entry("cookies", &self.0.cookies())?;
        map.serialize_entry("rawQuery", self.0.query())?;
        map.serialize_entry("parsed", &payload.parsed)?;
        // JSON already.
        let uploads =
            payload.uploads.as_ref().and_then(|tree| serde_json::from_slice::<&RawValue>(tree).ok());
        map.serialize_entry("uploads", &uploads)?;
        map.serialize_entry("attributes", &Empty)?;
        map.end()
    }
}

struct Empty;

impl Serialize for Empty {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_map(Some(0))?.end()
    }
}

struct Headers<'a>(&'a Context<'a>);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = |(name, values): (String, Vec<&[u8]>)| {
            let values: Vec<_> =
                values.into_iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect();
            (name, values)
        };
        serializer.collect_map(self.0.headers().map(text))
    }
}

/// The head of a response.
///
/// # Errors
/// It is not one.
pub(super) fn response(context: &[u8]) -> Result<Answer, String> {
    serde_json::from_slice(context).map_err(|error| {
        let shown: String = String::from_utf8_lossy(context).chars().take(200).collect();
        format!("a response head that is no JSON of one ({error}): {shown}")
    })
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Heads)
    }
}

struct Heads;

impl<'de> Visitor<'de> for Heads {
    type Value = Answer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with status and headers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Answer, A::Error> {
        let mut answer = Answer { status: 200, headers: Vec::new() };
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "status" => answer.status = map.next_value()?,
                "headers" => answer.headers = map.next_value::<Pairs>()?.0,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(answer)
    }
}

/// Headers: an object of lists. An empty array of PHP is a list, and one value may stand alone.
struct Pairs(Vec<(String, Vec<u8>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lists;
        impl<'de> Visitor<'de> for Lists {
            type Value = Pairs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of headers")
            }
            fn visit_unit<E>(self) -> Result<Pairs, E> {
                Ok(Pairs(Vec::new()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Pairs, A::Error> {
                match seq.next_element::<IgnoredAny>()? {
                    None => Ok(Pairs(Vec::new())),
                    Some(_) => Err(serde::de::Error::custom("headers are an object, not a list")),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some(name) = map.next_key::<String>()? {
                    for value in map.next_value::<Values>()?.0 {
                        pairs.push((name.clone(), value));
                    }
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_any(Lists)
    }
}

struct Values(Vec<Vec<u8>>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Values;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the values of a header")
            }
            fn visit_str<E>(self, text: &str) -> Result<Values, E> {
                Ok(Values(vec![text.as_bytes().to_vec()]))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Values, E> {
                Ok(Values(vec![number.to_string().into_bytes()]))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Values, E> {
                Ok(Values(vec![number.to_string().into_bytes()]))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Values, E> {
                Ok(Values(vec![number.to_string().into_bytes()]))
            }
            fn visit_unit<E>(self) -> Result<Values, E> {
                Ok(Values(Vec::new()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Values, A::Error> {
                let mut values = Vec::new();
                // A list in a list is no value; serde's depth is bounded.
                while let Some(Values(inner)) = seq.next_element()? {
                    values.extend(inner);
                }
                Ok(Values(values))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
                let mut values = Vec::new();
                // An array of PHP with gaps in its keys.
                while let Some((_, Values(inner))) = map.next_entry::<IgnoredAny, Values>()? {
                    values.extend(inner);
                }
                Ok(Values(values))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_03_what_php_makes_of_headers_is_read() {
        let read = |text: &str| response(text.as_bytes());
        let pairs = |list: &[(&str, &str)]| {
            list.iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect::<Vec<_>>()
        };
        let answer = |status, list: &[(&str, &str)]| Ok(Answer { status, headers: pairs(list) });
        assert_eq!(read(r#"{"status":200,"headers":[]}"#), answer(200, &[]));
        assert_eq!(read(r#"{"status":404}"#), answer(404, &[]));
        assert_eq!(
            read(r#"{"headers":{"A":"1","B":["2",3],"C":{"1":"x"},"D":[]},"more":[1]}"#),
            answer(200, &[("A", "1"), ("B", "2"), ("B", "3"), ("C", "x")])
        );
        for wrong in ["", "[]", "{", r#"{"status":"x"}"#, r#"{"headers":["a"]}"#, r#"{"headers":7}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let deep = "[".repeat(100_000);
        assert!(read(&format!("{{\"headers\":{{\"a\":{deep}")).is_err());
    }
}
