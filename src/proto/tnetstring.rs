//! Tagged netstrings, in which Pushpin's ZeroMQ sockets carry values: a payload's length in decimal digits, a colon,
//! the payload, and a byte for its type. `grip` reads calls of publishers and operators by ZeroMQ with it, and their
//! answers are written with it. Nesting is bounded, and thus recursion.

use std::borrow::Cow;

/// A value. Decoded values borrow from their input.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `~`.
    Null,
    /// `!`.
    Bool(bool),
    /// `#`.
    Integer(i64),
    /// `^`.
    Float(f64),
    /// `,`: bytes; text has no type of its own.
    Bytes(Cow<'a, [u8]>),
    /// `]`.
    List(Vec<Value<'a>>),
    /// `}`: names and values, in their order.
    Map(Vec<Member<'a>>),
}

/// A name and its value.
pub type Member<'a> = (Cow<'a, [u8]>, Value<'a>);

/// The input is not a tagged netstring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a tagged netstring")]
pub struct Malformed;

/// Decodes a value that takes all of `input`.
///
/// # Errors
/// The input is not exactly one tagged netstring.
pub fn decode(input: &[u8]) -> Result<Value<'_>, Malformed> {
    let (value, rest) = value(input, NESTING)?;
    if rest.is_empty() { Ok(value) } else { Err(Malformed) }
}

impl<'a> Value<'a> {
    /// Text as a value.
    pub fn text(text: &'a str) -> Value<'a> {
        Value::Bytes(text.as_bytes().into())
    }

    /// A map with these members.
    pub fn map(members: impl IntoIterator<Item = (&'a str, Value<'a>)>) -> Value<'a> {
        Value::Map(members.into_iter().map(|(name, value)| (name.as_bytes().into(), value)).collect())
    }

    /// The member called `name` of a map; the last one if the name is repeated.
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        let Value::Map(members) = self else { return None };
        members.iter().rev().find(|(key, _)| **key == *name.as_bytes()).map(|(_, value)| value)
    }

    /// The value's bytes, if it has this type.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Appends the value to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => frame(out, b"", b'~'),
            Value::Bool(flag) => frame(out, if *flag { b"true" } else { b"false" }, b'!'),
            Value::Integer(number) => frame(out, number.to_string().as_bytes(), b'#'),
            Value::Float(number) => frame(out, number.to_string().as_bytes(), b'^'),
            Value::Bytes(bytes) => frame(out, bytes, b','),
            Value::List(items) => {
                let mut payload = Vec::new();
                items.iter().for_each(|item| item.encode(&mut payload));
                frame(out, &payload, b']');
            }
            Value::Map(members) => {
                let mut payload = Vec::new();
                for (name, value) in members {
                    frame(&mut payload, name, b',');
                    value.encode(&mut payload);
                }
                frame(out, &payload, b'}');
            }
        }
    }
}

fn frame(out: &mut Vec<u8>, payload: &[u8], kind: u8) {
    out.extend_from_slice(payload.len().to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(payload);
    out.push(kind);
}

/// The value at the start of `input`, and the bytes after it. It may contain values `nesting` deep.
fn value(input: &[u8], nesting: usize) -> Result<(Value<'_>, &[u8]), Malformed> {
    let (payload, kind, rest) = split(input)?;
    let text = || std::str::from_utf8(payload).map_err(|_| Malformed);
    let value = match kind {
        b'~' if payload.is_empty() => Value::Null,
        b'!' if payload == b"true" => Value::Bool(true),
        b'!' if payload == b"false" => Value::Bool(false),
        b'#' => Value::Integer(text()?.parse().map_err(|_| Malformed)?),
        b'^' => Value::Float(text()?.parse().map_err(|_| Malformed)?),
        b',' => Value::Bytes(payload.into()),
        b']' => Value::List(list(payload, nesting.checked_sub(1).ok_or(Malformed)?)?),
        b'}' => Value::Map(members(payload, nesting.checked_sub(1).ok_or(Malformed)?)?),
        _ => return Err(Malformed),
    };
    Ok((value, rest))
}

fn list(mut payload: &[u8], nesting: usize) -> Result<Vec<Value<'_>>, Malformed> {
    let mut items = Vec::new();
    while !payload.is_empty() {
        let (item, rest) = value(payload, nesting)?;
        items.push(item);
        payload = rest;
    }
    Ok(items)
}

fn members(mut payload: &[u8], nesting: usize) -> Result<Vec<Member<'_>>, Malformed> {
    let mut members = Vec::new();
    while !payload.is_empty() {
        let (name, b',', rest) = split(payload)? else { return Err(Malformed) };
        let (member, rest) = value(rest, nesting)?;
        members.push((name.into(), member));
        payload = rest;
    }
    Ok(members)
}

/// The payload and type of the value at the start of `input`, and the bytes after it.
fn split(input: &[u8]) -> Result<(&[u8], u8, &[u8]), Malformed> {
    let colon = input.iter().take(LENGTH_DIGITS + 1).position(|byte| *byte == b':').ok_or(Malformed)?;
    let (digits, rest) = input.split_at(colon);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed);
    }
    let length = digits.iter().fold(0usize, |length, digit| length * 10 + usize::from(digit - b'0'));
    let payload = rest.get(1..1 + length).ok_or(Malformed)?;
    let (kind, rest) = rest.get(1 + length..).and_then(<[u8]>::split_first).ok_or(Malformed)?;
    Ok((payload, *kind, rest))
}

/// The deepest nesting: more than any message of GRIP has, except for a JSON patch with a deep value.
const NESTING: usize = 64;
/// The most digits of a length (tnetstrings.org).
const LENGTH_DIGITS: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        value.encode(&mut out);
        out
    }

    #[test]
    fn each_type_has_its_form() {
        let table = [
            (Value::Null, "0:~"),
            (Value::Bool(true), "4:true!"),
            (Value::Bool(false), "5:false!"),
            (Value::Integer(-12), "3:-12#"),
            (Value::Float(1.5), "3:1.5^"),
            (Value::text("héy"), "4:héy,"),
            (Value::List(vec![Value::Integer(1), Value::List(vec![])]), "7:1:1#0:]]"),
            (Value::map([("a", Value::text("b")), ("c", Value::Null)]), "15:1:a,1:b,1:c,0:~}"),
        ];
        for (value, form) in table {
            assert_eq!(String::from_utf8(encoded(&value)).unwrap(), form);
            assert_eq!(decode(form.as_bytes()), Ok(value), "{form}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        let deep = (0..=NESTING).fold(b"0:~".to_vec(), |inner, _| {
            let mut out = Vec::new();
            frame(&mut out, &inner, b']');
            out
        });
        let table: [&[u8]; 14] = [
            b"",
            b"0",
            b"0:",
            b":,",
            b"1:,",
            b"-1:x,",
            b"3:abc",
            b"3:abc?",
            b"1:x~",
            b"3:yes!",
            b"1:x#",
            b"8:1:1#1:x,}",
            b"0:~ ",
            b"0000000001:x,",
        ];
        for input in table.into_iter().chain([&deep[..]]) {
            assert_eq!(decode(input), Err(Malformed), "{:?}", String::from_utf8_lossy(input));
        }
        assert_eq!(decode(b"99999999999999999999:x,"), Err(Malformed));
    }

    fn any_value() -> impl Strategy<Value = Value<'static>> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Integer),
            (-1e9..1e9).prop_map(Value::Float),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Value::Bytes(bytes.into())),
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            let name = prop::collection::vec(any::<u8>(), 0..8).prop_map(Cow::Owned);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
                prop::collection::vec((name, inner), 0..5).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_and_no_part_of_it_is(value in any_value(), cut in any::<prop::sample::Index>()) {
            let bytes = encoded(&value);
            prop_assert_eq!(decode(&bytes), Ok(value));
            prop_assert_eq!(decode(&bytes[..cut.index(bytes.len())]), Err(Malformed));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in "[0-9]{0,2}:?[0-9:,#!~^\\]}tru]{0,30}") {
            let _ = decode(bytes.as_bytes());
        }
    }
}
