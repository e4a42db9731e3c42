//! The kinds of servers under load: the subscriber's request on each transport, the greeting of the server, and the publish
//! call. A preset is data; no other file of this crate distinguishes servers.

use crate::transport::{Mix, Transport};
use serde::{Deserialize, Serialize};

/// A kind of server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Gripwire, with its `--demo` application or the origin of this crate.
    Gripwire,
    /// Pushpin, with the origin of this crate.
    Pushpin,
    /// nginx with nchan: subscribers at `/sub/CHANNEL`, publishers at `/pub/CHANNEL`.
    Nchan,
    /// A server that sends without requests: connections are open when they are established.
    Silent,
    /// Any server: subscribers GET one path, and publishers POST messages to another. `{channel}` is replaced by the channel.
    Plain {
        /// The path for subscribers.
        path: String,
        /// The path for publishers.
        publish: String,
    },
}

/// The behavior of subscribers of one transport.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subscription {
    /// The request, with `{channel}` for the channel.
    pub request: String,
    /// The text of the message that confirms the subscription; without one the head confirms it.
    pub greeting: Option<String>,
    /// Whether long polls continue after the last answer, by its validators.
    pub resumes: bool,
}

/// The form of a publish call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Items in the JSON of GRIP.
    Grip,
    /// The message itself.
    Raw,
}

impl Target {
    /// The behavior of subscribers of `transport`.
    pub fn subscription(&self, transport: Transport) -> Subscription {
        let path = match (self, transport) {
            (Target::Gripwire | Target::Pushpin, Transport::Poll) => "/poll?channel={channel}",
            (Target::Gripwire | Target::Pushpin, Transport::Stream) => "/hold?channel={channel}",
            (Target::Gripwire | Target::Pushpin, Transport::Sse) => "/events?channel={channel}",
            (Target::Gripwire | Target::Pushpin, Transport::Websocket) => "/socket?channel={channel}",
            (Target::Nchan, _) => "/sub/{channel}",
            (Target::Silent, _) => {
                return Subscription { request: String::new(), greeting: None, resumes: false };
            }
            (Target::Plain { path, .. }, _) => path,
        };
        let fields = match (self, transport) {
            (_, Transport::Websocket) => WEBSOCKET_FIELDS,
            (_, Transport::Sse) => "Accept: text/event-stream\r\n",
            // Without this header, nchan takes a GET for a long poll; with it, for a chunked stream.
            (Target::Nchan, Transport::Stream) => "TE: chunked\r\n",
            _ => "",
        };
        let greets = matches!(self, Target::Gripwire | Target::Pushpin) && transport != Transport::Poll;
        Subscription {
            request: format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"),
            greeting: greets.then(|| if transport == Transport::Sse { "{channel}" } else { "held" }.into()),
            resumes: *self == Target::Nchan,
        }
    }

    /// The path for publishing to `channel`.
    pub(crate) fn publish_path(&self, channel: &str) -> String {
        match self {
            Target::Gripwire | Target::Pushpin => "/publish/".into(),
            Target::Nchan => format!("/pub/{channel}"),
            Target::Silent => "/".into(),
            Target::Plain { publish, .. } => publish.replace(CHANNEL, channel),
        }
    }

    pub(crate) fn form(&self) -> Form {
        match self {
            Target::Gripwire | Target::Pushpin => Form::Grip,
            Target::Nchan | Target::Silent | Target::Plain { .. } => Form::Raw,
        }
    }

    /// Whether a publish call can carry only one message.
    pub(crate) fn one_message_a_call(&self) -> bool {
        self.form() == Form::Raw
    }

    /// Most publish calls in flight on one connection.
    pub(crate) fn calls_in_flight(&self) -> usize {
        if *self == Target::Gripwire { 64 } else { 1 }
    }

    /// The name on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Target::Gripwire => "gripwire",
            Target::Pushpin => "pushpin",
            Target::Nchan => "nchan",
            Target::Silent => "silent",
            Target::Plain { .. } => "plain",
        }
    }
}

impl Form {
    /// Appends message number `number` of a call: for GRIP an item, of which a call may have several.
    pub fn write_item(&self, channel: &str, text: &[u8], mix: &Mix, number: u32, call: &mut Vec<u8>) {
        let text = std::str::from_utf8(text).unwrap_or_default();
        match self {
            // The line feed ends the line of a stream that sends nothing between messages.
            Form::Raw => call.extend_from_slice(format!("{text}\n").as_bytes()),
            Form::Grip => {
                call.extend_from_slice(if number == 0 { br#"{"items":["# } else { b"," });
                call.extend_from_slice(grip_item(channel, text, mix).as_bytes());
            }
        }
    }

    /// Ends a call.
    pub fn finish(&self, call: &mut Vec<u8>) {
        if *self == Form::Grip {
            call.extend_from_slice(b"]}");
        }
    }

    pub fn content_type(&self) -> &'static str {
        match self {
            Form::Grip => "application/json",
            Form::Raw => "text/plain",
        }
    }
}

/// An item with the formats that the mix needs. Messages are ASCII without quotes, so they need no escapes.
fn grip_item(channel: &str, text: &str, mix: &Mix) -> String {
    let mut formats = Vec::new();
    if mix.has(Transport::Sse) {
        formats.push(format!(r#""http-stream":{{"content":"data: {text}\n\n"}}"#));
    } else if mix.has(Transport::Stream) {
        formats.push(format!(r#""http-stream":{{"content":"{text}\n"}}"#));
    }
    if mix.has(Transport::Poll) {
        formats.push(format!(r#""http-response":{{"body":"{text}\n"}}"#));
    }
    if mix.has(Transport::Websocket) {
        formats.push(format!(r#""ws-message":{{"content":"{text}"}}"#));
    }
    format!(r#"{{"channel":"{channel}","formats":{{{}}}}}"#, formats.join(","))
}

/// The placeholder for the channel in paths and requests.
pub(crate) const CHANNEL: &str = "{channel}";
const WEBSOCKET_FIELDS: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_has_the_formats_its_subscribers_need_and_no_others() {
        let item = |mix: &str| {
            let mut bytes = Vec::new();
            let mix = mix.parse().unwrap();
            (0..2).for_each(|number| Form::Grip.write_item("c", b"m", &mix, number, &mut bytes));
            Form::Grip.finish(&mut bytes);
            serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()["items"][1]["formats"].to_string()
        };
        assert_eq!(item("stream"), r#"{"http-stream":{"content":"m\n"}}"#);
        assert_eq!(item("sse,stream"), r#"{"http-stream":{"content":"data: m\n\n"}}"#);
        assert_eq!(
            item("poll,websocket"),
            r#"{"http-response":{"body":"m\n"},"ws-message":{"content":"m"}}"#
        );
    }

    #[test]
    fn subscribers_ask_where_the_preset_says() {
        let request = |target: &Target, transport| target.subscription(transport).request;
        assert!(request(&Target::Gripwire, Transport::Stream).starts_with("GET /hold?channel={channel} "));
        assert!(request(&Target::Nchan, Transport::Sse).contains("\r\nAccept: text/event-stream\r\n\r\n"));
        let plain = Target::Plain { path: "/x/{channel}".into(), publish: "/y/{channel}/z".into() };
        assert!(request(&plain, Transport::Poll).starts_with("GET /x/{channel} HTTP/1.1\r\n"));
        assert_eq!(plain.publish_path("a"), "/y/a/z");
    }
}
