//! The packed form of values of the crate `http`, for the hand-over to another process: names, values and methods as
//! byte strings.

use super::headers::Headers;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.iter().map(|(name, value)| {
            let mut written = BytesMut::new();
            self.put_name(&mut written, name);
            (written.freeze(), Bytes::copy_from_slice(value.as_bytes()))
        });
        fields.collect::<Vec<_>>().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Headers, D::Error> {
        let mut headers = Headers::new();
        for (name, value) in Vec::<(Bytes, Bytes)>::deserialize(deserializer)? {
            let value = HeaderValue::from_maybe_shared(value).map_err(D::Error::custom)?;
            headers.append_as(&name, value).map_err(D::Error::custom)?;
        }
        Ok(headers)
    }
}

/// For `#[serde(with)]` on a method.
pub mod method {
    use super::*;

    /// Writes the method's name.
    ///
    /// # Errors
    /// Those of `serializer`.
    pub fn serialize<S: Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
        method.as_str().serialize(serializer)
    }

    /// Reads a method's name.
    ///
    /// # Errors
    /// Those of `deserializer`, or the name is no token.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Method, D::Error> {
        Method::from_bytes(&Bytes::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// For `#[serde(with)]` on a value that may be absent.
pub mod optional_value {
    use super::*;

    /// Writes the value's bytes.
    ///
    /// # Errors
    /// Those of `serializer`.
    pub fn serialize<S: Serializer>(value: &Option<HeaderValue>, serializer: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(|value| Bytes::copy_from_slice(value.as_bytes())).serialize(serializer)
    }

    /// Reads the bytes of a value.
    ///
    /// # Errors
    /// Those of `deserializer`, or the bytes are no value.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<HeaderValue>, D::Error> {
        let value = Option::<Bytes>::deserialize(deserializer)?;
        value.map(HeaderValue::from_maybe_shared).transpose().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    #[test]
    fn fields_come_back_in_their_order_and_spelling() {
        let mut headers = Headers::new();
        for (name, value) in [("X-LOUD", "1"), ("cookie", "a"), ("Host", "b"), ("cookie", "\u{e9}")] {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append_as(name.as_bytes(), value).unwrap();
        }
        let packed = postcard::to_allocvec(&headers).unwrap();
        let back: Headers = postcard::from_bytes(&packed).unwrap();
        assert_eq!(*back, *headers);
        assert_eq!(back.spelled(&HeaderName::from_static("x-loud")), Some("X-LOUD"));
    }
}
