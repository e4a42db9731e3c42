//! Tests that decoding and encoding agree with each other, with the vectors, and with the JSON form.

use super::super::publish;
use super::*;
use crate::proto::grip::publication::Publication;
use proptest::prelude::*;

fn decoded(datagram: &[u8]) -> Result<Vec<Publication>, CompactError> {
    let mut items = Vec::new();
    decode(datagram, &mut items).map(|()| items)
}

/// The items as text; equal items have equal text.
fn printed(items: &[Publication]) -> String {
    format!("{items:?}")
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).expect("hex"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect()
}

/// The vectors, as (name, datagram, call or error).
fn vectors() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let text = include_str!("testdata/vectors.txt");
    let blocks = text.split("\n\n").map(|block| block.lines().filter(|line| !line.starts_with('#')));
    let vectors = blocks.filter_map(|mut lines| {
        let (name, hex, meaning) = (lines.next()?, lines.next()?, lines.next()?);
        Some((name, bytes(hex), meaning))
    });
    vectors.collect()
}

#[test]
fn the_vectors_stand_for_the_calls_beside_them() {
    let vectors = vectors();
    assert!(vectors.len() >= 16);
    for (name, datagram, meaning) in vectors {
        if meaning.starts_with('{') {
            let call = publish::parse(meaning.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
            let items = decoded(&datagram).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(printed(&items), printed(&call), "{name}");
            assert_eq!(encode(&call), datagram, "{name}");
        } else {
            assert_eq!(decoded(&datagram).err().map(|error| error.to_string()).as_deref(), Some(meaning));
        }
    }
}

#[test]
fn a_datagram_that_is_cut_anywhere_is_refused_or_has_fewer_items() {
    for (name, datagram, _) in vectors() {
        let Ok(whole) = decoded(&datagram).map(|items| items.len()) else { continue };
        for end in 0..datagram.len() {
            let mut items = vec![Publication::new("before")];
            match decode(&datagram[..end], &mut items) {
                Ok(()) => assert!(items.len() <= whole, "{name}"),
                Err(_) => assert_eq!(items.len(), 1),
            }
        }
    }
}

#[test]
fn headers_that_would_misframe_an_answer_are_removed() {
    let item = bytes("c7 01 10 01 63 02 00c8 00 02 0e 436f6e74656e742d4c656e677468 01 39 01 41 01 62 00");
    let call = br#"{"items":[{"channel":"c","http-response":{"headers":{"A":"b"},"body":""}}]}"#;
    assert_eq!(printed(&decoded(&item).unwrap()), printed(&publish::parse(call).unwrap()));
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,12}", "x{120,140}"]
}

fn any_item() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let response = prop_oneof![
        Just(json!({"action": "hint"})),
        any_text().prop_map(|body| json!({"body": body})),
        (200..1000u16, "[ -~]{0,8}", any_text()).prop_map(|(code, reason, body)| json!({
            "code": code, "reason": reason, "headers": [["A", "b"], ["A", "c"], ["X-Y", ""]], "body": body,
        })),
        any_text().prop_map(|value| json!({"body-patch": [{"op": "add", "path": "/a", "value": value}]})),
    ];
    let stream = prop_oneof![
        Just(json!({"action": "hint"})),
        Just(json!({"action": "close"})),
        any_text().prop_map(|content| json!({"content": content})),
    ];
    let socket = prop_oneof![
        Just(json!({"action": "refresh"})),
        any_text().prop_map(|reason| json!({"action": "close", "code": 3000, "reason": reason})),
        any_text().prop_map(|content| json!({"content": content})),
        any_text().prop_map(|content| json!({"type": "binary", "content": content})),
        ".{0,20}".prop_map(|content| json!({"type": "ping", "content": content})),
        Just(json!({"type": "pong"})),
    ];
    let id = || proptest::option::of(any_text());
    let meta = prop::collection::hash_map(any_text(), any_text(), 0..3);
    let filters = || proptest::option::weighted(0.2, prop::collection::vec("[a-z-]{0,8}", 0..3));
    let all = [response.boxed(), stream.boxed(), socket.boxed()].map(|format| (format, filters()));
    (any_text(), id(), id(), any::<bool>(), meta, all, 1..8u8).prop_map(
        |(channel, id, prev_id, no_seq, meta, all, formats)| {
            let mut item = json!({"channel": channel, "no-seq": no_seq, "meta": meta, "formats": {}});
            let ids = [("id", id), ("prev-id", prev_id)];
            ids.into_iter()
                .filter_map(|(name, id)| Some((name, id?)))
                .for_each(|(name, id)| item[name] = Value::from(id));
            let names = ["http-response", "http-stream", "ws-message"];
            for (bit, (name, (mut format, filters))) in names.into_iter().zip(all).enumerate() {
                if formats & (1 << bit) != 0 {
                    if let Some(filters) = filters {
                        format["content-filters"] = json!(filters);
                    }
                    item["formats"][name] = format;
                }
            }
            item
        },
    )
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(
        body in prop::collection::vec(any::<u8>(), 0..100), bits in any::<u8>(), short in 0..4u8,
    ) {
        let _ = decoded(&body);
        // Begins past the first bytes, because most of the inputs above fail at them.
        let _ = decoded(&[&[MAGIC, 1, bits, short][..], &body].concat());
    }

    #[test]
    fn what_is_written_reads_the_same(items in prop::collection::vec(any_item(), 0..4)) {
        let call = serde_json::json!({ "items": items }).to_string();
        let call = publish::parse(call.as_bytes()).unwrap();
        prop_assert_eq!(printed(&decoded(&encode(&call)).unwrap()), printed(&call));
    }
}
