//! Reads the body of a publish call: a JSON object with `items`, each of which becomes a [`Publication`]. Called for
//! every way to publish in JSON. One invalid item refuses the whole call. The error's text is the body of the 400, in
//! texts that publishers already handle, so checks run in a fixed order, item by item.

use super::formats::ContentFilters;
use super::json::{self, FieldError, Fields, Json};
use super::publication::Publication;
use super::publish_format;
use crate::ids::NameSet;

/// The most publications of a call in which items name several channels: a name takes a few bytes of the call, but a
/// publication takes hundreds.
const PUBLICATIONS: usize = 10_000;

/// Why a publish call is refused. The text is the body of the answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The body is not JSON.
    #[error("Body is not valid JSON.\n")]
    NotJson,
    /// The JSON is not an object.
    #[error("Invalid format.\n")]
    NotObject,
    /// The list of items is absent or not a list.
    #[error("Invalid format: {0}\n")]
    Items(FieldError),
    /// One item is invalid.
    #[error("Invalid format: {problem}\n")]
    Item {
        /// The item's position in the list, from 0.
        item: usize,
        /// What is wrong with the item.
        problem: FieldError,
    },
}

/// Reads the items of a publish call.
///
/// # Errors
/// Why the call is refused.
pub fn parse(body: &[u8]) -> Result<Vec<Publication>, PublishError> {
    of_object(&json::read(body).map_err(|_| PublishError::NotJson)?)
}

/// Reads the items of an object with the member `items`.
///
/// # Errors
/// Why the call is refused.
pub(super) fn of_object(json: &Json) -> Result<Vec<Publication>, PublishError> {
    let object = Fields::of(json, "object").map_err(|_| PublishError::NotObject)?;
    let items = object.list("items").and_then(|list| list.ok_or_else(|| object.missing("'items'")));
    let mut publications = Vec::new();
    for (item, json) in items.map_err(PublishError::Items)?.iter().enumerate() {
        add_item(json, &mut publications).map_err(|problem| PublishError::Item { item, problem })?;
    }
    Ok(publications)
}

/// Adds one item: a publication for each of its channels.
fn add_item(json: &Json, publications: &mut Vec<Publication>) -> Result<(), FieldError> {
    let item = Fields::of(json, "publish item object")?;
    let Some(list) = item.list("channels")? else {
        publications.push(publication(json, None)?);
        return Ok(());
    };
    let channels = channels(&item, list)?;
    let [first, more @ ..] = &channels[..] else { return Err(item.invalid("channels")) };
    if publications.len() + channels.len() > PUBLICATIONS {
        return Err(FieldError::Shape("too many channels in one call"));
    }
    let publication = of_channel(&item, first)?;
    let others = more.iter().map(|channel| publication.to_channel(channel)).collect::<Vec<_>>();
    publications.push(publication);
    publications.extend(others);
    Ok(())
}

/// The names in `channels` of an item, each once.
fn channels<'i>(item: &Fields<'i>, list: &'i [Json<'i>]) -> Result<Vec<&'i str>, FieldError> {
    if item.get("channel").is_some() {
        return Err(FieldError::Shape("publish item object contains both 'channel' and 'channels'"));
    }
    let mut known = NameSet::default();
    let mut channels = Vec::with_capacity(list.len());
    for name in list {
        let name = name.text().ok_or_else(|| item.wrong_type("channels"))?;
        if known.insert(name) {
            channels.push(name);
        }
    }
    Ok(channels)
}

/// Reads one item; `channel` overrides the item's own.
///
/// # Errors
/// What is wrong with the item.
pub(super) fn publication(json: &Json, channel: Option<&str>) -> Result<Publication, FieldError> {
    let item = Fields::of(json, "publish item object")?;
    match channel {
        Some(channel) => of_channel(&item, channel),
        None => of_channel(&item, item.text("channel")?.ok_or_else(|| item.missing("'channel'"))?),
    }
}

fn of_channel(item: &Fields, channel: &str) -> Result<Publication, FieldError> {
    let mut publication = Publication::new(channel);
    publication.id = item.text("id")?.map(Box::from);
    publication.prev_id = item.text("prev-id")?.map(Box::from);
    read_formats(item, &mut publication)?;
    let meta = item.text_map("meta", "'meta'")?.unwrap_or_default();
    publication.meta = meta.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
    // Pushpin uses this size to count blocks, which this server does not need; the value is still checked.
    item.integer("size", 0..=i64::MAX)?;
    publication.no_seq = item.flag("no-seq")?.unwrap_or(false);
    Ok(publication)
}

/// Reads formats, which are members of `formats` or, in the older form, of the item itself. An item must have at
/// least one format, which may be of an unknown transport.
fn read_formats(item: &Fields, publication: &mut Publication) -> Result<(), FieldError> {
    let formats = item.object("formats", "formats")?;
    let none = match &formats {
        Some(formats) => formats.is_empty(),
        None => ["http-response", "http-stream", "ws-message"].iter().all(|name| item.get(name).is_none()),
    };
    if none {
        return Err(FieldError::Shape("no formats specified"));
    }
    let formats = formats.as_ref().unwrap_or(item);
    let mut filters = ContentFilters::default();
    if let Some(json) = formats.get("http-response") {
        publication.response = publish_format::http_response(json)?;
        filters.response = publish_format::expected_filters(json)?;
    }
    if let Some(json) = formats.get("http-stream") {
        publication.stream = publish_format::http_stream(json)?;
        filters.stream = publish_format::expected_filters(json)?;
    }
    if let Some(json) = formats.get("ws-message") {
        publication.socket = publish_format::ws_message(json)?;
        filters.socket = publish_format::expected_filters(json)?;
    }
    let says_so = filters.response.is_some() || filters.stream.is_some() || filters.socket.is_some();
    publication.content_filters = says_so.then(|| Box::new(filters));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::formats::{ResponseBody, ResponseFormat, StreamFormat};
    use super::super::publication::Then;
    use super::*;
    use proptest::prelude::*;

    fn error(body: &str) -> String {
        parse(body.as_bytes()).unwrap_err().to_string()
    }

    fn item_error(item: &str) -> String {
        error(&format!(r#"{{"items":[{item}]}}"#))
    }

    #[test]
    fn a_whole_item() {
        let body = br#"{"items":[{"channel":"c","id":"2","prev-id":"1","no-seq":true,"size":3,"user":"x",
            "meta":{"sender":"s"},"formats":{
            "http-response":{"code":201,"reason":"Made","headers":{"A":"1"},"body-bin":"aGk="},
            "http-stream":{"content":"a\nb"},"ws-message":{"content":"x"},"other":1}}]}"#;
        let item = parse(body).unwrap().remove(0);
        assert_eq!(
            (&*item.channel, item.id.as_deref(), item.prev_id.as_deref()),
            ("c", Some("2"), Some("1"))
        );
        assert!(item.no_seq);
        assert_eq!(*item.meta, [("sender".into(), "s".into())]);
        assert_eq!(item.stream_content().map(|b| &b[..]), Some(&b"a\nb"[..]));
        assert_eq!(item.stream_chunk().map(|b| &b[..]), Some(&b"3\r\na\nb\r\n"[..]));
        let Some(ResponseFormat::Send(message)) = item.response else { panic!() };
        assert_eq!((message.code, message.reason.as_deref()), (201, Some("Made")));
        assert!(matches!(message.body, ResponseBody::Whole(body) if body == "hi"));
    }

    #[test]
    fn filters_are_expected_of_the_format_that_says_so() {
        use super::super::formats::Format::{Response, Socket, Stream};
        let item = |formats: &str| {
            let body = format!(r#"{{"items":[{{"channel":"c","formats":{formats}}}]}}"#);
            parse(body.as_bytes()).unwrap().remove(0)
        };
        let some = item(
            r#"{"http-stream":{"content":"","content-filters":["build-id","x"]},"ws-message":{"content":""},
                "http-response":{"body":"","content-filters":[]}}"#,
        );
        let expected = [Response, Stream, Socket].map(|format| some.expected_filters(format).map(<[_]>::len));
        assert_eq!(expected, [Some(0), Some(2), None]);
        let hint = item(r#"{"http-stream":{"action":"hint","content-filters":1}}"#);
        assert!(hint.content_filters.is_none());
    }

    #[test]
    fn formats_may_stand_on_the_item() {
        let item =
            parse(br#"{"items":[{"channel":"c","http-stream":{"action":"close"}}]}"#).unwrap().remove(0);
        assert!(item.then_stream() == Then::End && item.response.is_none() && !item.no_seq);
        let item = parse(br#"{"items":[{"channel":"c","ws-message":{"content":"x"}}]}"#).unwrap().remove(0);
        assert!(item.response.is_none() && item.stream.is_none());
    }

    #[test]
    fn no_items_are_no_error() {
        assert!(parse(br#"{"items":[]}"#).unwrap().is_empty());
    }

    #[test]
    fn errors_of_the_call() {
        assert_eq!(error(""), "Body is not valid JSON.\n");
        assert_eq!(error("{\"items\":[]} x"), "Body is not valid JSON.\n");
        assert_eq!(error("[]"), "Invalid format.\n");
        assert_eq!(error("{}"), "Invalid format: object does not contain 'items'\n");
        assert_eq!(error(r#"{"items":{}}"#), "Invalid format: object contains 'items' with wrong type\n");
    }

    #[test]
    fn errors_of_an_item() {
        let table = [
            ("1", "publish item object is not an object"),
            ("{}", "publish item object does not contain 'channel'"),
            (r#"{"channel":1}"#, "publish item object contains 'channel' with wrong type"),
            (r#"{"channel":"c","id":1}"#, "publish item object contains 'id' with wrong type"),
            (r#"{"channel":"c","id":null}"#, "publish item object contains 'id' with wrong type"),
            (r#"{"channel":"c","prev-id":1}"#, "publish item object contains 'prev-id' with wrong type"),
            (r#"{"channel":"c"}"#, "no formats specified"),
            (r#"{"channel":"c","formats":{},"http-stream":{"content":""}}"#, "no formats specified"),
            (r#"{"channel":"c","formats":[]}"#, "publish item object contains 'formats' with wrong type"),
            (
                r#"{"channel":"c","formats":{"x":1},"meta":1}"#,
                "publish item object contains 'meta' with wrong type",
            ),
            (r#"{"channel":"c","formats":{"x":1},"meta":{"k":1}}"#, "'meta' contains 'k' with wrong type"),
            (
                r#"{"channel":"c","formats":{"x":1},"size":[]}"#,
                "publish item object contains 'size' with wrong type",
            ),
            (
                r#"{"channel":"c","formats":{"x":1},"size":-1}"#,
                "publish item object contains 'size' with invalid value",
            ),
            (
                r#"{"channel":"c","formats":{"x":1},"no-seq":1}"#,
                "publish item object contains 'no-seq' with wrong type",
            ),
        ];
        for (item, problem) in table {
            assert_eq!(item_error(item), format!("Invalid format: {problem}\n"), "{item}");
        }
    }

    #[test]
    fn an_item_may_go_to_several_channels() {
        let body = br#"{"items":[{"channels":["a","b","a"],"id":"1","http-stream":{"content":"x"}}]}"#;
        let items = parse(body).unwrap();
        let told: Vec<_> = items.iter().map(|item| (&*item.channel, item.id.as_deref())).collect();
        assert_eq!(told, [("a", Some("1")), ("b", Some("1"))]);
        assert!(items.iter().all(|item| item.stream_content().is_some_and(|content| content == "x")));
        let table = [
            (r#"{"channels":[],"http-stream":{"content":""}}"#, "'channels' with invalid value"),
            (r#"{"channels":"a","http-stream":{"content":""}}"#, "'channels' with wrong type"),
            (r#"{"channels":[1],"http-stream":{"content":""}}"#, "'channels' with wrong type"),
            (r#"{"channel":"a","channels":["b"]}"#, "both 'channel' and 'channels'"),
        ];
        for (item, problem) in table {
            let expected = format!("Invalid format: publish item object contains {problem}\n");
            assert_eq!(item_error(item), expected, "{item}");
        }
        let names: Vec<String> = (0..=PUBLICATIONS).map(|number| number.to_string()).collect();
        let item = serde_json::json!({"channels": names, "http-stream": {"content": ""}}).to_string();
        assert_eq!(item_error(&item), "Invalid format: too many channels in one call\n");
    }

    #[test]
    fn an_error_knows_its_item() {
        let body = br#"{"items":[{"channel":"c","http-stream":{"content":""}},{}]}"#;
        assert!(matches!(parse(body), Err(PublishError::Item { item: 1, .. })));
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let words = prop::sample::select(vec![
            "send", "hint", "close", "refresh", "text", "ping", "aGk=", "\r\n", "",
        ]);
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            words.prop_map(Into::into),
            ".{0,8}".prop_map(Into::into),
        ];
        let key = prop::sample::select(vec![
            "items",
            "channel",
            "formats",
            "http-response",
            "http-stream",
            "ws-message",
            "action",
            "content",
            "content-bin",
            "body",
            "body-patch",
            "code",
            "reason",
            "headers",
            "type",
            "meta",
            "size",
            "no-seq",
            "op",
        ]);
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::hash_map(key.clone().prop_map(str::to_string), inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(body in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&body);
        }

        #[test]
        fn any_format_is_read_without_panic(json in any_json(), name in "(http-response|http-stream|ws-message)") {
            let body = serde_json::json!({"items": [{"channel": "c", "formats": {name: json}}]});
            if let Err(error) = parse(body.to_string().as_bytes()) {
                let text = error.to_string();
                prop_assert!(text.starts_with("Invalid format: ") && text.ends_with('\n') && text.len() > 20);
            }
        }

        #[test]
        fn a_printed_item_reads_back(
            channel in ".{0,20}", id in proptest::option::of(".{0,10}"), content in ".{0,60}", no_seq: bool,
        ) {
            let mut item = serde_json::json!({
                "channel": channel, "no-seq": no_seq, "formats": {"http-stream": {"content": content}},
            });
            if let Some(id) = &id {
                item["id"] = id.as_str().into();
            }
            let body = serde_json::json!({"items": [item]}).to_string();
            let back = parse(body.as_bytes()).unwrap().remove(0);
            prop_assert_eq!((&*back.channel, back.id.as_deref(), back.no_seq), (&*channel, id.as_deref(), no_seq));
            prop_assert!(matches!(back.stream, Some(StreamFormat::Content(got)) if got == content.as_bytes()));
        }
    }
}
