//! A message of the stats socket: the name of its kind, a space, and a map, as a tagged netstring after `T` or as JSON
//! after `J`. Subscribers of the socket choose messages by the name.

use crate::config::StatsFormat;
use crate::proto::tnetstring::Value;
use serde_json::json;

/// A message of the stats socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    kind: &'static str,
    members: Vec<(&'static str, Member)>,
}

/// The value of a member of the map.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Member {
    Text(String),
    Number(u64),
    True,
}

impl Packet {
    /// A message of this kind without members.
    pub(super) fn of(kind: &'static str) -> Packet {
        Packet { kind, members: Vec::new() }
    }

    pub(super) fn text(self, name: &'static str, text: impl Into<String>) -> Packet {
        self.with(name, Member::Text(text.into()))
    }

    pub(super) fn number(self, name: &'static str, number: impl TryInto<u64>) -> Packet {
        self.with(name, Member::Number(number.try_into().unwrap_or(u64::MAX)))
    }

    /// Adds the id of the route. `None` stands for all routes without their own ids.
    pub(super) fn route(self, route: Option<&str>) -> Packet {
        match route {
            Some(route) => self.text("route", route),
            None => self,
        }
    }

    /// Marks the connection or subscription as ended.
    pub(super) fn unavailable(self) -> Packet {
        self.flag("unavailable")
    }

    pub(super) fn flag(self, name: &'static str) -> Packet {
        self.with(name, Member::True)
    }

    fn with(mut self, name: &'static str, member: Member) -> Packet {
        self.members.push((name, member));
        self
    }

    /// Encodes the message for the socket; `from` is the server's name.
    pub fn encode(&self, from: &str, format: StatsFormat) -> Vec<u8> {
        let mut out = self.kind.as_bytes().to_vec();
        match format {
            StatsFormat::Tnetstring => {
                out.extend_from_slice(b" T");
                let members = self.members.iter().map(|(name, member)| (*name, member.value()));
                Value::map([("from", Value::text(from))].into_iter().chain(members)).encode(&mut out);
            }
            StatsFormat::Json => {
                out.extend_from_slice(b" J");
                let members = self.members.iter().map(|(name, member)| ((*name).to_owned(), member.json()));
                let members = [("from".to_owned(), from.into())].into_iter().chain(members);
                let members: serde_json::Map<String, serde_json::Value> = members.collect();
                out.extend_from_slice(json!(members).to_string().as_bytes());
            }
        }
        out
    }
}

impl Member {
    fn value(&self) -> Value<'_> {
        match self {
            Member::Text(text) => Value::text(text),
            Member::Number(number) => Value::Integer(i64::try_from(*number).unwrap_or(i64::MAX)),
            Member::True => Value::Bool(true),
        }
    }

    fn json(&self) -> serde_json::Value {
        match self {
            Member::Text(text) => text.as_str().into(),
            Member::Number(number) => (*number).into(),
            Member::True => true.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_begin_with_the_kind() {
        let packet = Packet::of("sub").text("mode", "ws").number("ttl", 60u32).unavailable();
        let tnetstring = packet.encode("me", StatsFormat::Tnetstring);
        let expected = "sub T57:4:from,2:me,4:mode,2:ws,3:ttl,2:60#11:unavailable,4:true!}";
        assert_eq!(String::from_utf8(tnetstring).unwrap(), expected);
        let json = packet.encode("me", StatsFormat::Json);
        let expected = r#"sub J{"from":"me","mode":"ws","ttl":60,"unavailable":true}"#;
        assert_eq!(String::from_utf8(json).unwrap(), expected);
    }
}
