//! Measures the WebSocket codec in `proto/websocket`: reading and writing messages, with masks, UTF-8, frames and
//! compression.

mod brief;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use gripwire::proto::websocket::{
    Compression, Decoder, FrameEvent, Opcode, Utf8, deflate, encode_frame, inflate, unmask,
};
use std::hint::black_box;

/// Number of frames that arrive together, and size of each payload.
const FRAMES: usize = 256;
const SMALL_BYTES: usize = 32;
/// Bytes of a large payload. It fits into the caches, like data that was just received.
const LARGE_BYTES: usize = 64 * 1024;
/// The largest message, the default of `message_bytes`.
const MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// A mask with four different bytes. Frames begin at any offset.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn decode(criterion: &mut Criterion) {
    let input = masked_frames();
    assert_eq!(messages_in(&mut input.clone()), FRAMES);
    let mut group = criterion.benchmark_group("websocket/decode");
    group.throughput(Throughput::ElementsAndBytes { elements: FRAMES as u64, bytes: input.len() as u64 });
    group.bench_function("256_texts_of_32_B", |bencher| {
        bencher.iter_batched_ref(|| input.clone(), |input| messages_in(input), BatchSize::SmallInput);
    });
}

/// Text messages as a client sends them.
fn masked_frames() -> Vec<u8> {
    let mut payload = [b'x'; SMALL_BYTES];
    unmask(&mut payload, MASK, 0);
    let frame = [&[0x81, 0x80 | SMALL_BYTES as u8], &MASK[..], &payload].concat();
    frame.repeat(FRAMES)
}

/// Number of complete text messages in `input`, which has no further bytes.
fn messages_in(mut input: &mut [u8]) -> usize {
    let (mut decoder, mut messages) = (Decoder::new(1024, false), 0);
    while !input.is_empty() {
        let decoded = decoder.decode(input).expect("sound frames");
        messages += usize::from(matches!(decoded.event, Some(FrameEvent::Data { ends: true, .. })));
        let used = decoded.used;
        input = &mut input[used..];
    }
    messages
}

fn mask(criterion: &mut Criterion) {
    let mut payload = vec![0x5a; LARGE_BYTES];
    unmask(&mut payload, MASK, 1);
    assert_eq!(payload[..4], [0x5a ^ 0xfa, 0x5a ^ 0x21, 0x5a ^ 0x3d, 0x5a ^ 0x37]);
    let mut group = criterion.benchmark_group("websocket/unmask");
    group.throughput(Throughput::Bytes(LARGE_BYTES as u64));
    group.bench_function("64_KiB", |bencher| {
        bencher.iter(|| unmask(black_box(&mut payload), black_box(MASK), black_box(1)));
    });
}

fn utf8(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("websocket/utf8");
    for (name, text) in [("ascii", "Hello, all of you. "), ("greek", "Γειά σου Κόσμε. ")] {
        let text = text.repeat(LARGE_BYTES / text.len());
        assert!(is_text(text.as_bytes()) && !is_text(&[text.as_bytes(), b"\xff"].concat()));
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| is_text(black_box(text.as_bytes()))));
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let mut text = Utf8::default();
    text.check(bytes).is_ok() && text.is_whole()
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("websocket/encode");
    for (name, length, header) in [("32_B", SMALL_BYTES, 2), ("64_KiB", LARGE_BYTES, 10)] {
        let (payload, mut out) = (vec![b'x'; length], BytesMut::new());
        encode_frame(&mut out, Opcode::Text, true, &payload);
        assert_eq!(out.len(), length + header);
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                encode_frame(&mut out, Opcode::Text, true, black_box(&payload));
            });
        });
    }
}

fn compression(criterion: &mut Criterion) {
    let message = kibibyte_of_json();
    let deflated = deflate(&message, Compression::SHARED).expect("a message that gets shorter");
    assert_eq!(inflate(&deflated, MESSAGE_BYTES).as_deref(), Ok(&message[..]));
    let mut group = criterion.benchmark_group("websocket/compression");
    group.throughput(Throughput::Bytes(message.len() as u64));
    group.bench_function("deflate_1_KiB", |bencher| {
        bencher.iter(|| deflate(black_box(&message), Compression::SHARED));
    });
    group.bench_function("inflate_1_KiB", |bencher| {
        bencher.iter(|| inflate(black_box(&deflated), MESSAGE_BYTES));
    });
}

/// JSON that is about as repetitive as applications' messages.
fn kibibyte_of_json() -> Vec<u8> {
    let quote = |number: u32| {
        let price = number.wrapping_mul(2_654_435_761) % 100_000;
        format!("{{\"symbol\":\"SYM{number}\",\"price\":{price},\"currency\":\"EUR\"}},")
    };
    (0..).flat_map(|number| quote(number).into_bytes()).take(1024).collect()
}

criterion_group!(name = websocket; config = brief::briefly(); targets = decode, mask, utf8, encode, compression);
criterion_main!(websocket);
