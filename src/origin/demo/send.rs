//! A message to the demo's channel: read from a form or from JSON, and published for streams and long polls alike.
//! Both get the same JSON on one line, so a message may contain any text, line feeds included, without breaking the
//! event that carries it. Other publishers may send plain text instead; the page displays both.

use crate::origin::query::values;
use crate::proto::grip::{
    Publication, ResponseBody, ResponseFormat, ResponseMessage, SocketFormat, StreamFormat,
};
use crate::proto::websocket::Opcode;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

/// A visitor's message.
#[derive(Debug, Deserialize, PartialEq)]
pub(super) struct Message {
    #[serde(rename = "message", alias = "text")]
    text: String,
    /// The time of the sender's clock, ms, from which the sender's own page computes the latency.
    sent: Option<f64>,
}

/// The JSON that subscribers get.
#[derive(Serialize)]
struct Arrival<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<f64>,
}

impl Message {
    /// Reads `{"message": ..., "sent": ...}` or `message=...&sent=...`; `None` if there is no message in `body`.
    pub fn read(body: &[u8]) -> Option<Message> {
        let body = std::str::from_utf8(body).ok()?;
        let message = if body.trim_start().starts_with('{') {
            serde_json::from_str(body).ok()?
        } else {
            let sent = values(body, "sent").next().and_then(|sent| sent.parse().ok());
            Message { text: values(body, "message").next()?.into_owned(), sent }
        };
        (!message.text.is_empty()).then_some(message)
    }

    /// The item to publish: an event for streams, and a JSON body for long polls.
    pub fn publication(&self, channel: &str) -> Publication {
        let arrival = Arrival { text: &self.text, sent: self.sent };
        let json = serde_json::to_string(&arrival).unwrap_or_default();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut publication = Publication::new(channel);
        publication.stream = Some(StreamFormat::Content(Bytes::from(format!("data: {json}\n\n"))));
        publication.socket =
            Some(SocketFormat::Message { opcode: Opcode::Text, content: Bytes::from(json.clone()) });
        publication.response = Some(ResponseFormat::Send(Box::new(ResponseMessage {
            code: 200,
            reason: None,
            headers: headers.into(),
            body: ResponseBody::Whole(Bytes::from(json + "\n")),
        })));
        publication
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_json_are_read_alike() {
        let message = |text: &str, sent| Some(Message { text: text.into(), sent });
        let cases: [(&[u8], Option<Message>); 9] = [
            (b"message=hello+you%21", message("hello you!", None)),
            (b"message=a&sent=12.5", message("a", Some(12.5))),
            (b"sent=x&message=a", message("a", None)),
            (br#" {"message": "a\nb", "sent": 3}"#, message("a\nb", Some(3.0))),
            (br#"{"text": "a"}"#, message("a", None)),
            (b"message=", None),
            (b"", None),
            (b"{", None),
            (b"message=\xff", None),
        ];
        for (body, expected) in cases {
            assert_eq!(Message::read(body), expected, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_message_of_several_lines_stays_one_event() {
        let publication = Message { text: "a\n\nb\r\"".into(), sent: Some(1.5) }.publication("demo");
        let content = publication.stream_content().expect("an event");
        assert_eq!(&content[..], b"data: {\"text\":\"a\\n\\nb\\r\\\"\",\"sent\":1.5}\n\n");
        let Some(ResponseFormat::Send(message)) = &publication.response else { panic!("an answer") };
        let ResponseBody::Whole(body) = &message.body else { panic!("a whole body") };
        assert_eq!(&body[..], b"{\"text\":\"a\\n\\nb\\r\\\"\",\"sent\":1.5}\n");
    }
}
