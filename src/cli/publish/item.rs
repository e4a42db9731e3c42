//! Makes the body of a publish call from the options of `gripwire publish`. The item has the content in the format of each
//! transport. HTTP bodies end in a newline, unless `--no-eol` is given; WebSocket messages get no newline.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gripwire::proto::grip::{compact, publish};
use serde_json::{Map, Value, json};
use std::iter;

use super::options::Publish;

/// A message that cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum ItemError {
    /// The content of `--patch` is not a JSON patch.
    #[error(
        "--patch needs a JSON patch as content, such as '[{{\"op\":\"replace\",\"path\":\"/a\",\"value\":1}}]'"
    )]
    NotAPatch,
    /// A message that every server would refuse.
    #[error("the message cannot be published: {}", .0.to_string().trim_end())]
    Refused(#[from] publish::PublishError),
}

/// Encodes `call` as a datagram. The item is checked here, because a server cannot report that it refused a datagram.
///
/// # Errors
/// Why a server would refuse the item.
pub fn datagram(call: &[u8]) -> Result<Vec<u8>, ItemError> {
    Ok(compact::encode(&publish::parse(call)?))
}

/// Encodes the item of `call` as a ZeroMQ message. The item is checked here, because a PULL socket sends no answer.
///
/// # Errors
/// Why a server would refuse the item.
#[cfg(feature = "zeromq")]
pub fn message(call: &[u8]) -> Result<Vec<u8>, ItemError> {
    publish::parse(call)?;
    let call: Value = serde_json::from_slice(call).unwrap_or_default();
    Ok(call["items"][0].to_string().into_bytes())
}

/// Makes `{"items": [...]}` with one item.
///
/// # Errors
/// The content does not suit `--patch`.
pub fn publish_call(options: &Publish, content: &[u8]) -> Result<Value, ItemError> {
    let mut item = Map::new();
    match options.also.is_empty() {
        true => item.insert("channel".into(), options.channel.clone().into()),
        false => {
            let channels: Vec<&String> = iter::once(&options.channel).chain(&options.also).collect();
            item.insert("channels".into(), json!(channels))
        }
    };
    for (name, id) in [("id", &options.id), ("prev-id", &options.prev_id)] {
        if let Some(id) = id {
            item.insert(name.into(), id.clone().into());
        }
    }
    if options.no_seq {
        item.insert("no-seq".into(), true.into());
    }
    let sender = options.sender.iter().map(|sender| ("sender".to_owned(), sender.clone()));
    let meta: Map<String, Value> =
        options.meta.iter().cloned().chain(sender).map(|(name, value)| (name, value.into())).collect();
    if !meta.is_empty() {
        item.insert("meta".into(), meta.into());
    }
    item.insert("formats".into(), formats(options, content)?);
    Ok(json!({ "items": [item] }))
}

fn formats(options: &Publish, content: &[u8]) -> Result<Value, ItemError> {
    if options.hint {
        let hint = json!({ "action": "hint" });
        return Ok(json!({ "http-response": hint, "http-stream": hint, "ws-message": hint }));
    }
    if options.close {
        let close = json!({ "action": "close" });
        return Ok(json!({ "http-stream": close, "ws-message": close }));
    }
    let mut response = Map::new();
    response.insert("code".into(), options.code.into());
    if !options.headers.is_empty() {
        response.insert("headers".into(), json!(options.headers));
    }
    if options.patch {
        let patch =
            serde_json::from_slice(content).ok().filter(Value::is_array).ok_or(ItemError::NotAPatch)?;
        response.insert("body-patch".into(), patch);
        return Ok(json!({ "http-response": response }));
    }
    let mut line = content.to_vec();
    if !options.no_eol {
        line.push(b'\n');
    }
    let (key, body) = text_or_binary("body", &line);
    response.insert(key, body);
    let member = |content| Map::from_iter([text_or_binary("content", content)]);
    Ok(json!({ "http-response": response, "http-stream": member(&line), "ws-message": member(content) }))
}

/// Content as a JSON member. Content that is not UTF-8 is written in base64, under the name with `-bin`.
fn text_or_binary(name: &str, content: &[u8]) -> (String, Value) {
    match std::str::from_utf8(content) {
        Ok(text) => (name.to_owned(), text.into()),
        Err(_) => (format!("{name}-bin"), STANDARD.encode(content).into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        publish: Publish,
    }

    fn item(arguments: &[&str], content: &[u8]) -> Value {
        let options = Alone::parse_from([&["publish", "c"], arguments].concat()).publish;
        let call = publish_call(&options, content).unwrap();
        publish::parse(call.to_string().as_bytes()).expect("the server takes it");
        call["items"][0].clone()
    }

    #[test]
    fn content_goes_to_every_transport() {
        assert_eq!(
            item(&[], b"hi"),
            json!({ "channel": "c", "formats": {
                "http-response": { "code": 200, "body": "hi\n" },
                "http-stream": { "content": "hi\n" },
                "ws-message": { "content": "hi" },
            } })
        );
    }

    #[test]
    fn every_option_has_its_place() {
        let arguments =
            ["--id", "2", "--prev-id", "1", "--sender", "me", "--code", "201", "--no-seq", "--no-eol"];
        let more = ["-H", "X-A: b", "-H", "X-A:c", "-M", "k=v=w"];
        assert_eq!(
            item(&[&arguments[..], &more[..]].concat(), b"hi"),
            json!({
                "channel": "c", "id": "2", "prev-id": "1", "no-seq": true,
                "meta": { "k": "v=w", "sender": "me" },
                "formats": {
                    "http-response": { "code": 201, "headers": [["X-A", "b"], ["X-A", "c"]], "body": "hi" },
                    "http-stream": { "content": "hi" },
                    "ws-message": { "content": "hi" },
                },
            })
        );
    }

    #[test]
    fn several_channels_are_one_item() {
        let item = item(&["--also", "d", "--also", "e"], b"hi");
        assert_eq!((&item["channels"], &item["channel"]), (&json!(["c", "d", "e"]), &Value::Null));
    }

    #[test]
    fn hints_closes_and_patches_carry_no_content() {
        let hint = json!({ "action": "hint" });
        let hints = json!({ "http-response": hint, "http-stream": hint, "ws-message": hint });
        assert_eq!(item(&["--hint"], b"")["formats"], hints);
        let close = json!({ "action": "close" });
        assert_eq!(item(&["--close"], b"")["formats"], json!({ "http-stream": close, "ws-message": close }));
        let patch =
            json!({ "http-response": { "code": 200, "body-patch": [{ "op": "remove", "path": "/a" }] } });
        assert_eq!(item(&["--patch"], br#"[{"op":"remove","path":"/a"}]"#)["formats"], patch);
        let options = Alone::parse_from(["publish", "c", "--patch"]).publish;
        assert!(publish_call(&options, b"text").is_err());
        assert!(Alone::try_parse_from(["publish", "c", "--hint", "--close"]).is_err());
    }

    #[test]
    fn bytes_that_are_no_text_go_in_base64() {
        let formats = &item(&["--no-eol"], b"\xff\x00")["formats"];
        assert_eq!(formats["http-response"]["body-bin"], "/wA=");
        assert_eq!(formats["ws-message"]["content-bin"], "/wA=");
    }
}
