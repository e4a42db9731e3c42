//! Measures the HTTP/1.1 codec in `proto/http1`: reading a request head and a chunked body, and writing the head of an
//! answer.

mod brief;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gripwire::proto::http1::{
    BodyDecoder, BodyLength, Framing, Head, HeadLimits, ResponseHead, Version, encode_chunk, encode_head,
    parse_head,
};
use http::{HeaderMap, HeaderValue, header};
use std::hint::black_box;

/// Chromium's request for an event stream.
const BROWSER: &str = "GET /events?room=lobby&last=1722 HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    Connection: keep-alive\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    Accept: text/event-stream\r\n\
    sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\", \"Google Chrome\";v=\"140\"\r\n\
    Cache-Control: no-cache\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Referer: https://www.example.com/rooms/lobby?theme=dark\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Cookie: session=2fd4e1c67a2d28fced849ee1bb76e7391b93eb12; theme=dark; csrftoken=Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA\r\n\
    \r\n";

/// The smallest HTTP/1.1 request.
const MINIMAL: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Number of chunks of the measured body, and size of each. Chunks are small, because their contents cost nothing.
const CHUNKS: usize = 64;
const CHUNK_BYTES: usize = 64;

fn request_heads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("http1/parse_head");
    for (name, head, fields) in [("browser", BROWSER, 12), ("minimal", MINIMAL, 1)] {
        assert_eq!(fields_of(head.as_bytes()), Some(fields));
        group.throughput(Throughput::Bytes(head.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| fields_of(black_box(head.as_bytes()))));
    }
}

/// Number of fields of a complete head.
fn fields_of(input: &[u8]) -> Option<usize> {
    match parse_head(input, &HeadLimits { head_bytes: 65_536 }) {
        Ok(Head::Complete { request, used }) if used == input.len() => Some(request.headers.len()),
        _ => None,
    }
}

fn response_head(criterion: &mut Criterion) {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::DATE, HeaderValue::from_static("Tue, 24 Nov 2026 09:00:00 GMT"));
    headers.insert(header::VARY, HeaderValue::from_static("Cookie"));
    let (version, framing) = (Version::Http11, Framing::Chunked);
    let head = ResponseHead {
        version,
        status: 200,
        reason: None,
        headers: &headers.into(),
        framing,
        keep_alive: true,
    };
    let mut out = BytesMut::new();
    encode_head(&mut out, &head);
    assert!(out.starts_with(b"HTTP/1.1 200 OK\r\n") && out.ends_with(b"chunked\r\n\r\n"));
    let mut group = criterion.benchmark_group("http1/encode_head");
    group.throughput(Throughput::Bytes(out.len() as u64));
    group.bench_function("stream", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode_head(&mut out, black_box(&head));
        });
    });
}

fn chunked_body(criterion: &mut Criterion) {
    let mut body = BytesMut::new();
    (0..CHUNKS).for_each(|_| encode_chunk(&mut body, &[b'x'; CHUNK_BYTES]));
    body.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(decoded_bytes(&body), CHUNKS * CHUNK_BYTES);
    let mut group = criterion.benchmark_group("http1/chunked_body");
    group.throughput(Throughput::ElementsAndBytes { elements: CHUNKS as u64, bytes: body.len() as u64 });
    group.bench_function("64_chunks_of_64_B", |bencher| bencher.iter(|| decoded_bytes(black_box(&body))));
}

/// Number of data bytes in a complete chunked body.
fn decoded_bytes(mut body: &[u8]) -> usize {
    let (mut decoder, mut bytes) = (BodyDecoder::new(BodyLength::Chunked), 0);
    while !decoder.is_done() {
        let step = decoder.decode(body).expect("a sound body");
        bytes += step.data.len();
        body = &body[step.used..];
    }
    bytes
}

criterion_group!(name = http1; config = brief::briefly(); targets = request_heads, response_head, chunked_body);
criterion_main!(http1);
