//! JSON of origins and publishers, borrowed from the received bytes: strings without escapes are not copied.
//! [`Fields`] reads the members of an object, and its errors have the texts that GRIP publishers know. Called by
//! `publish`, `instruct_body` and their parts. serde_json limits the nesting to 128, so recursion here is bounded.
//!
//! Tagged netstrings of publishers are read into the same values; their strings are bytes ([`Json::Bytes`]).

use crate::proto::byte_order_mark::without_bom;
use crate::proto::lenient_json::without_lone_surrogates;
use crate::proto::tnetstring::Value;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// A JSON value; objects keep their members in order, duplicates included.
#[derive(Debug, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    /// Text, or bytes that JSON would contain in base64.
    Bytes(Cow<'a, [u8]>),
    List(Vec<Json<'a>>),
    Object(Vec<Member<'a>>),
}

/// A member of an object.
pub(super) type Member<'a> = (Cow<'a, str>, Json<'a>);

/// What is wrong with a member, in the texts that publishers know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// A value that must be an object is not one.
    #[error("{0} is not an object")]
    NotObject(&'static str),
    /// A required member is absent.
    #[error("{parent} does not contain {wanted}")]
    Missing {
        /// The object.
        parent: &'static str,
        /// The member or members, quoted.
        wanted: &'static str,
    },
    /// A member has the wrong type.
    #[error("{parent} contains '{name}' with wrong type")]
    WrongType {
        /// The object.
        parent: &'static str,
        /// The member.
        name: String,
    },
    /// A member has the right type but an invalid value.
    #[error("{parent} contains '{name}' with invalid value")]
    InvalidValue {
        /// The object.
        parent: &'static str,
        /// The member.
        name: String,
    },
    /// A member has none of the words that are allowed.
    #[error("{parent} contains '{name}' with unknown value")]
    UnknownValue {
        /// The object.
        parent: &'static str,
        /// The member.
        name: String,
    },
    /// A list has an invalid form.
    #[error("{0}")]
    Shape(&'static str),
}

/// Reads a whole JSON text. A byte order mark is skipped, and lone surrogates become U+FFFD.
///
/// # Errors
/// The body is not JSON.
pub(super) fn read(body: &[u8]) -> Result<Json<'_>, serde_json::Error> {
    let body = without_bom(body);
    serde_json::from_slice(body).or_else(|error| match without_lone_surrogates(body) {
        Some(body) => serde_json::from_slice::<Json>(&body).map(Json::into_owned),
        None => Err(error),
    })
}

/// Decodes base64 (RFC 4648 section 4). Line breaks and missing padding are accepted, because encoders differ in
/// them.
pub(super) fn from_base64(text: &[u8]) -> Option<Bytes> {
    let compact: Vec<u8> = text.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    LENIENT.decode(compact).ok().map(Bytes::from)
}

impl Json<'_> {
    /// The string, if the value is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            Json::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// An owned copy of this value.
    fn into_owned(self) -> Json<'static> {
        match self {
            Json::Null => Json::Null,
            Json::Bool(flag) => Json::Bool(flag),
            Json::Number(number) => Json::Number(number),
            Json::Text(text) => Json::Text(text.into_owned().into()),
            Json::Bytes(bytes) => Json::Bytes(bytes.into_owned().into()),
            Json::List(list) => Json::List(list.into_iter().map(Json::into_owned).collect()),
            Json::Object(members) => Json::Object(
                members
                    .into_iter()
                    .map(|(name, value)| (name.into_owned().into(), value.into_owned()))
                    .collect(),
            ),
        }
    }

    /// This value as serde_json represents it.
    pub fn to_value(&self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(number) => Value::Number(number.clone()),
            Json::Text(text) => Value::String(text.to_string()),
            Json::Bytes(bytes) => Value::String(String::from_utf8_lossy(bytes).into_owned()),
            Json::List(list) => Value::Array(list.iter().map(Json::to_value).collect()),
            Json::Object(members) => Value::Object(
                members.iter().map(|(name, value)| (name.to_string(), value.to_value())).collect(),
            ),
        }
    }
}

/// An object, with the name by which errors call it.
#[derive(Clone, Copy)]
pub(super) struct Fields<'d> {
    parent: &'static str,
    members: &'d [Member<'d>],
}

impl<'d> Fields<'d> {
    /// `value` as an object that errors call `parent`.
    ///
    /// # Errors
    /// [`FieldError::NotObject`].
    pub fn of(value: &'d Json<'d>, parent: &'static str) -> Result<Fields<'d>, FieldError> {
        match value {
            Json::Object(members) => Ok(Fields { parent, members }),
            _ => Err(FieldError::NotObject(parent)),
        }
    }

    /// The member called `name`; the last one if the name is repeated.
    pub fn get(&self, name: &str) -> Option<&'d Json<'d>> {
        self.members.iter().rev().find(|member| member.0 == name).map(|member| &member.1)
    }

    /// Whether the object has no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// A string member.
    ///
    /// # Errors
    /// The member has another type.
    pub fn text(&self, name: &str) -> Result<Option<&'d str>, FieldError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.text().map(Some).ok_or_else(|| self.wrong_type(name))
    }

    /// A list member.
    ///
    /// # Errors
    /// The member has another type.
    pub fn list(&self, name: &str) -> Result<Option<&'d [Json<'d>]>, FieldError> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::List(list)) => Ok(Some(list)),
            Some(_) => Err(self.wrong_type(name)),
        }
    }

    /// An object member; errors about its members call it `parent`.
    ///
    /// # Errors
    /// The member has another type.
    pub fn object(&self, name: &str, parent: &'static str) -> Result<Option<Fields<'d>>, FieldError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        Fields::of(value, parent).map(Some).map_err(|_| self.wrong_type(name))
    }

    /// An integer member within `range`. Fractions are rounded and digits in a string are accepted, because Pushpin
    /// accepts them from publishers.
    ///
    /// # Errors
    /// The member is no number, or out of range.
    pub fn integer(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<Option<i64>, FieldError> {
        let number = match self.get(name) {
            None => return Ok(None),
            Some(Json::Number(number)) => {
                number.as_i64().or_else(|| number.as_f64().map(|f| f.round() as i64))
            }
            Some(value) => value.text().and_then(|text| text.trim().parse().ok()),
        };
        let number = number.ok_or_else(|| self.wrong_type(name))?;
        if range.contains(&number) { Ok(Some(number)) } else { Err(self.invalid(name)) }
    }

    /// A boolean member.
    ///
    /// # Errors
    /// The member has another type.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, FieldError> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.wrong_type(name)),
        }
    }

    /// Bytes: the member `base64_name` (base64, or plain bytes in a tagged netstring), or else the string
    /// `text_name`.
    ///
    /// # Errors
    /// A member has another type, or is not base64.
    pub fn bytes(&self, text_name: &str, base64_name: &str) -> Result<Option<Bytes>, FieldError> {
        for name in [base64_name, text_name] {
            if let Some(Json::Bytes(bytes)) = self.get(name) {
                return Ok(Some(Bytes::copy_from_slice(bytes)));
            }
        }
        if let Some(encoded) = self.text(base64_name)? {
            return from_base64(encoded.as_bytes()).map(Some).ok_or_else(|| self.invalid(base64_name));
        }
        Ok(self.text(text_name)?.map(|text| Bytes::copy_from_slice(text.as_bytes())))
    }

    /// The object member `name` as a map of strings to strings; errors call the map `parent`.
    ///
    /// # Errors
    /// The member or one of its values has another type.
    pub fn text_map(
        &self,
        name: &str,
        parent: &'static str,
    ) -> Result<Option<BTreeMap<&'d str, &'d str>>, FieldError> {
        let Some(fields) = self.object(name, parent)? else { return Ok(None) };
        let pair = |(key, value): &'d Member<'d>| match value.text() {
            Some(text) => Ok((&**key, text)),
            None => Err(fields.wrong_type(key)),
        };
        fields.members.iter().map(pair).collect::<Result<_, _>>().map(Some)
    }

    /// The error of a member with the wrong type.
    pub fn wrong_type(&self, name: &str) -> FieldError {
        FieldError::WrongType { parent: self.parent, name: name.to_string() }
    }

    /// The error of a member with an invalid value.
    pub fn invalid(&self, name: &str) -> FieldError {
        FieldError::InvalidValue { parent: self.parent, name: name.to_string() }
    }

    /// The error of a member that is none of the allowed words.
    pub fn unknown(&self, name: &str) -> FieldError {
        FieldError::UnknownValue { parent: self.parent, name: name.to_string() }
    }

    /// The error of absent members; `wanted` names them, quoted.
    pub fn missing(&self, wanted: &'static str) -> FieldError {
        FieldError::Missing { parent: self.parent, wanted }
    }
}

impl<'a> From<Value<'a>> for Json<'a> {
    fn from(value: Value<'a>) -> Json<'a> {
        match value {
            Value::Null => Json::Null,
            Value::Bool(flag) => Json::Bool(flag),
            Value::Integer(number) => Json::Number(number.into()),
            Value::Float(number) => Number::from_f64(number).map_or(Json::Null, Json::Number),
            Value::Bytes(bytes) => Json::Bytes(bytes),
            Value::List(items) => Json::List(items.into_iter().map(Json::from).collect()),
            Value::Map(members) => Json::Object(members.into_iter().map(member).collect()),
        }
    }
}

fn member<'a>((name, value): (Cow<'a, [u8]>, Value<'a>)) -> Member<'a> {
    let name = match name {
        Cow::Borrowed(name) => String::from_utf8_lossy(name),
        Cow::Owned(name) => Cow::Owned(String::from_utf8_lossy(&name).into_owned()),
    };
    (name, value.into())
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E: Error>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }
    fn visit_bool<E: Error>(self, flag: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(flag))
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(number.into()))
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(number.into()))
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<Json<'de>, E> {
        Ok(Number::from_f64(number).map_or(Json::Null, Json::Number))
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_string())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = access.next_element()? {
            list.push(value);
        }
        Ok(Json::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some((Name(name), value)) = access.next_entry()? {
            members.push((name, value));
        }
        Ok(Json::Object(members))
    }
}

/// A member's name; deserializing a plain `Cow` would always copy.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(JsonVisitor)? {
            Json::Text(name) => Ok(Name(name)),
            _ => Err(D::Error::custom("a member without a name")),
        }
    }
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strings_are_borrowed_unless_escaped() {
        let json = read(br#"{"a":"plain","b\n":"esc\"aped"}"#).unwrap();
        let Json::Object(members) = json else { panic!() };
        assert!(matches!(members[0], (Cow::Borrowed("a"), Json::Text(Cow::Borrowed("plain")))));
        assert_eq!(members[1], (Cow::Borrowed("b\n"), Json::Text(Cow::Borrowed("esc\"aped"))));
    }

    #[test]
    fn whole_numbers_come_in_several_dresses() {
        let json =
            read(br#"{"a":7,"b":6.6,"c":"7","d":true,"e":"x","f":1e300,"g":18446744073709551615}"#).unwrap();
        let fields = Fields::of(&json, "it").unwrap();
        for name in ["a", "b", "c"] {
            assert_eq!(fields.integer(name, 0..=9).unwrap(), Some(7));
        }
        assert_eq!(fields.integer("d", 0..=9).unwrap_err().to_string(), "it contains 'd' with wrong type");
        assert_eq!(fields.integer("e", 0..=9).unwrap_err().to_string(), "it contains 'e' with wrong type");
        assert_eq!(fields.integer("f", 0..=9).unwrap_err().to_string(), "it contains 'f' with invalid value");
        assert_eq!(fields.integer("g", 0..=9).unwrap_err().to_string(), "it contains 'g' with invalid value");
        assert_eq!(fields.integer("h", 0..=9).unwrap(), None);
    }

    #[test]
    fn base64_is_read_with_and_without_padding() {
        for text in ["aGk=", "aGk", "aG\r\nk=", " aGk= "] {
            assert_eq!(from_base64(text.as_bytes()).as_deref(), Some(&b"hi"[..]), "{text}");
        }
        assert_eq!(from_base64(b"a*k="), None);
    }

    #[test]
    fn what_other_readers_let_pass_is_read() {
        let json =
            read(b"\xef\xbb\xbf{\"a\\ud83d\":[\"\\ude00\",\"\\ud83d\\ude00\",1,true,null,{}]}").unwrap();
        let expected = serde_json::json!({"a\u{fffd}": ["\u{fffd}", "\u{1f600}", 1, true, null, {}]});
        assert_eq!(json.to_value(), expected);
        assert!(read(b"\xef\xbb\xbf\xef\xbb\xbf{}").is_err() && read(b"{\"a\":\"\\ud83d\"").is_err());
    }

    #[test]
    fn nesting_without_end_is_an_error() {
        assert!(read(&b"[".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn anything_serde_json_reads_is_read_the_same(text in "[\\[\\]{}:,\"a1.e\\\\n -]{0,40}") {
            let ours = read(text.as_bytes()).map(|json| json.to_value()).ok();
            let theirs = serde_json::from_str::<serde_json::Value>(&text).ok();
            prop_assert_eq!(ours, theirs);
        }
    }
}
