//! Measures the GRIP codecs in `proto/grip`: a publish call, datagrams, an instruct by headers and by JSON, and the events of
//! WebSockets. `publish` is the rate at which a core can read publish calls.

mod brief;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gripwire::proto::grip::{Instruct, Mode, WebSocketEvent, compact, publish};
use gripwire::proto::http1::Headers;
use http::{HeaderName, HeaderValue};
use std::hint::black_box;

/// Number of events in a body, and size of each event's content.
const EVENTS: usize = 100;
const EVENT_BYTES: usize = 100;

fn publish_call(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("grip/publish");
    let calls = [
        ("1_item", 1, stream_item as fn(usize) -> String),
        ("100_items", 100, stream_item),
        ("100_items_of_all_formats", 100, item_of_all_formats),
    ];
    for (name, items, item) in calls {
        let body = format!(r#"{{"items":[{}]}}"#, (0..items).map(item).collect::<Vec<_>>().join(","));
        assert_eq!(items_of(body.as_bytes()), items);
        group.throughput(Throughput::ElementsAndBytes { elements: items as u64, bytes: body.len() as u64 });
        group.bench_function(name, |bencher| bencher.iter(|| items_of(black_box(body.as_bytes()))));
    }
}

/// A datagram in the compact form, with ids and without.
fn datagram(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("grip/compact");
    let bare = r#"{"channel":"room-1","formats":{"http-stream":{"content":"data: hello\n\n"}}}"#.to_owned();
    for (name, item) in [("1_small_item", bare), ("1_item", stream_item(1))] {
        let call = publish::parse(format!(r#"{{"items":[{item}]}}"#).as_bytes()).expect("a publish call");
        let datagram = compact::encode(&call);
        let mut items = Vec::new();
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                items.clear();
                compact::decode(black_box(&datagram), &mut items).expect("a datagram");
                items.len()
            });
        });
    }
}

/// An item with a Server-Sent Event of 100 bytes. Its line ends are escaped, as in every such item.
fn stream_item(number: usize) -> String {
    let (previous, text) = (number.saturating_sub(1), "x".repeat(92));
    format!(
        r#"{{"channel":"room-{number}","id":"{number}","prev-id":"{previous}","formats":{{"http-stream":{{"content":"data: {text}\n\n"}}}}}}"#
    )
}

/// An item with formats for every transport.
fn item_of_all_formats(number: usize) -> String {
    let (previous, text) = (number.saturating_sub(1), "x".repeat(92));
    format!(
        r#"{{"channel":"room-{number}","id":"{number}","prev-id":"{previous}","formats":{{"http-stream":{{"content":"data: {text}\n\n"}},"http-response":{{"headers":{{"Content-Type":"text/plain"}},"body":"{text}\n"}},"ws-message":{{"content":"{text}"}}}}}}"#
    )
}

fn items_of(body: &[u8]) -> usize {
    publish::parse(body)
        .map_or(0, |items| items.iter().filter(|item| item.stream_content().is_some()).count())
}

fn instruct(criterion: &mut Criterion) {
    let by_headers = headers(&[
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("date", "Tue, 24 Nov 2026 09:00:00 GMT"),
        ("server", "application"),
        ("grip-hold", "stream"),
        ("grip-channel", "room-1, user-17"),
        ("grip-keep-alive", r"event: keep-alive\ndata:\n\n; format=cstring; timeout=20"),
    ]);
    let by_json = headers(&[
        ("content-type", "application/grip-instruct"),
        ("date", "Tue, 24 Nov 2026 09:00:00 GMT"),
        ("server", "application"),
    ]);
    let json = r#"{"hold":{"mode":"stream","channels":[{"name":"room-1"},{"name":"user-17"}],
        "keep-alive":{"content":"event: keep-alive\ndata:\n\n","timeout":20}},
        "response":{"code":200,"headers":{"Content-Type":"text/event-stream","Cache-Control":"no-cache"},"body":""}}"#;
    let mut group = criterion.benchmark_group("grip/instruct");
    for (name, headers, body) in [("headers", by_headers, ""), ("json", by_json, json)] {
        let body = Bytes::from_static(body.as_bytes());
        assert_eq!(channels_held(&headers, &body), 2);
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |bencher| bencher.iter(|| channels_held(black_box(&headers), &body)));
    }
}

fn headers(lines: &[(&'static str, &'static str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
}

/// Number of channels of the stream in an application's answer.
fn channels_held(headers: &Headers, body: &Bytes) -> usize {
    let hold = Instruct::parse(200, None, headers, body.clone()).ok().and_then(|instruct| instruct.hold);
    hold.filter(|hold| hold.mode == Mode::Stream && hold.keep_alive.is_some())
        .map_or(0, |hold| hold.channels.len())
}

fn websocket_events(criterion: &mut Criterion) {
    let mut body = BytesMut::new();
    let event = WebSocketEvent::Text(Bytes::from(vec![b'x'; EVENT_BYTES]));
    (0..EVENTS).for_each(|_| event.encode(&mut body));
    let body = body.freeze();
    let events_of = |body: &Bytes| WebSocketEvent::decode_all(body.clone()).map_or(0, |events| events.len());
    assert_eq!(events_of(&body), EVENTS);
    let mut group = criterion.benchmark_group("grip/websocket_events");
    group.throughput(Throughput::ElementsAndBytes { elements: EVENTS as u64, bytes: body.len() as u64 });
    group.bench_function("decode_100", |bencher| bencher.iter(|| events_of(black_box(&body))));
}

criterion_group!(name = grip; config = brief::briefly(); targets = publish_call, datagram, instruct, websocket_events);
criterion_main!(grip);
