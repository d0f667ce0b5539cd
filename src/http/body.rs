//! Bodies: read with a cap and a deadline, taken apart without parsing what is only passed on.

use std::{ops::RangeInclusive, time::Duration};

use actix_web::{
    dev::Payload,
    http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use intent_bus_protocol::{json, limits};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Error, ErrorCode, Result};

/// Reads a body of at most `most` bytes, whatever its headers say of its length.
///
/// # Errors
/// `payload_too_large`; `invalid_request` when the client breaks off or takes too long.
pub async fn read(headers: &HeaderMap, payload: &mut Payload, most: usize, deadline: Duration) -> Result<Bytes> {
    // Without either there is no body; but a request to upgrade the connection has a stream that would not end.
    if !headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(TRANSFER_ENCODING) {
        return Ok(Bytes::new());
    }
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    let collected = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk =
                chunk.map_err(|error| Error::invalid("The body broke off or is badly framed.").because(error))?;
            if body.len() + chunk.len() > most {
                return Err(too_large(most));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(deadline, collected).await.map_err(|_| Error::invalid("The body took too long to arrive."))?
}

fn too_large(most: usize) -> Error {
    Error::new(ErrorCode::PayloadTooLarge, format!("A body has at most {most} bytes."))
}

/// Reads a JSON object into a struct of raw fields.
///
/// # Errors
/// `invalid_json`; `invalid_request` when it is JSON but not such an object.
pub fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T> {
    let text = std::str::from_utf8(body).map_err(|_| Error::new(ErrorCode::InvalidJson, "The body is not UTF-8."))?;
    let raw: &RawValue = serde_json::from_str(text)
        .map_err(|error| Error::new(ErrorCode::InvalidJson, format!("The body is not JSON: {error}.")))?;
    if !json::is_object(raw.get()) {
        return Err(Error::invalid("The body must be a JSON object."));
    }
    serde_json::from_str(raw.get()).map_err(|error| Error::invalid(format!("The body cannot be used: {error}.")))
}

/// A field whose `null` is a value and not an absence.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub struct Present<'a>(#[serde(borrow, deserialize_with = "present")] pub Option<&'a RawValue>);

fn present<'de: 'a, 'a, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// A field that is absent counts like one that is null.
#[must_use]
pub fn given(field: Option<&RawValue>) -> Option<&RawValue> {
    field.filter(|value| value.get() != "null")
}

/// A field that holds a string.
///
/// # Errors
/// `code` when it holds something else, or text that has no characters (lone surrogates).
pub fn text(field: Option<&RawValue>, name: &str, code: ErrorCode) -> Result<Option<String>> {
    given(field)
        .map(|raw| {
            serde_json::from_str(raw.get())
                .map_err(|_| Error::new(code, format!("{name} must be a string of valid Unicode.")))
        })
        .transpose()
}

/// A field that holds a whole number. `60.0` is one: to JSON and JSON Schema it is the same number as `60`, and what clients
/// compute (Python's `180 / 3`) looks like that.
///
/// # Errors
/// `invalid_request` when it holds something else or is out of range.
pub fn integer(field: Option<&RawValue>, name: &str, range: RangeInclusive<i32>) -> Result<Option<i32>> {
    let whole = f64::from(*range.start())..=f64::from(*range.end());
    given(field)
        .map(|raw| {
            let number = serde_json::from_str(raw.get()).ok().filter(|number: &f64| number.fract() == 0.0);
            #[allow(clippy::cast_possible_truncation, reason = "a whole number within a range of i32")]
            number
                .filter(|number| whole.contains(number))
                .map(|number| number as i32)
                .ok_or_else(|| out_of_range("a whole number", name, &range))
        })
        .transpose()
}

/// A field that holds a number.
///
/// # Errors
/// `invalid_request` when it holds something else or is out of range.
pub fn number(field: Option<&RawValue>, name: &str, range: RangeInclusive<f64>) -> Result<Option<f64>> {
    given(field)
        .map(|raw| {
            serde_json::from_str(raw.get())
                .ok()
                .filter(|number| range.contains(number))
                .ok_or_else(|| out_of_range("a number", name, &range))
        })
        .transpose()
}

fn out_of_range<T: std::fmt::Display>(kind: &str, name: &str, range: &RangeInclusive<T>) -> Error {
    Error::invalid(format!("{name} must be {kind} from {} to {}.", range.start(), range.end()))
}

/// JSON that is passed on byte for byte: checked for its size and its depth, and not parsed any further.
///
/// # Errors
/// `payload_too_large`; `invalid_payload` when it is nested too deeply.
pub fn passed_on(raw: &RawValue, name: &str, most: usize) -> Result<Bytes> {
    let text = raw.get();
    if text.len() > most {
        return Err(Error::new(ErrorCode::PayloadTooLarge, format!("{name} has at most {most} bytes.")));
    }
    if json::depth(text) > limits::MAX_DEPTH {
        return Err(Error::new(
            ErrorCode::InvalidPayload,
            format!("{name} must not be nested deeper than {} levels.", limits::MAX_DEPTH),
        ));
    }
    Ok(Bytes::copy_from_slice(text.as_bytes()))
}

/// Free text for a person to read: what Unicode or Postgres cannot hold is replaced, and what is longer is cut.
#[must_use]
pub fn readable(raw: &RawValue, most: usize) -> String {
    let mut parser = serde_json::Deserializer::from_str(raw.get());
    // As bytes a JSON string may hold lone surrogates. What is not a string is shown as its JSON.
    let bytes = serde::Deserializer::deserialize_byte_buf(&mut parser, StringBytes).ok();
    let text = bytes.as_deref().map_or(raw.get().into(), String::from_utf8_lossy);
    text.replace('\0', "\u{fffd}").chars().take(most).collect()
}

struct StringBytes;

impl serde::de::Visitor<'_> for StringBytes {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Vec<u8>, E> {
        Ok(text.as_bytes().to_vec())
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> std::result::Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn readable_text_survives_what_neither_unicode_nor_postgres_can_hold() {
        assert_eq!(readable(&raw(r#""a\u0000b""#), 500), "a\u{fffd}b");
        assert!(readable(&raw(r#""a\ud800b""#), 500).starts_with('a'));
        assert_eq!(readable(&raw(r#"{"a": 1}"#), 500), r#"{"a": 1}"#);
        assert_eq!(readable(&raw(r#""äöü""#), 2), "äö");
    }

    #[test]
    fn numbers_out_of_range_or_of_another_kind_are_refused() {
        for text in ["1.5", "true", "\"3\"", "1e400", "-1", "1001", "99999999999999999999"] {
            assert!(integer(Some(&raw(text)), "priority", 0..=1000).is_err(), "{text}");
        }
        for text in ["7", "7.0", "70e-1"] {
            assert_eq!(integer(Some(&raw(text)), "priority", 0..=1000).unwrap(), Some(7), "{text}");
        }
        assert_eq!(integer(Some(&raw("null")), "priority", 0..=1000).unwrap(), None);
        assert!(number(Some(&raw("1e400")), "delay", 0.0..=10.0).is_err());
    }
}
