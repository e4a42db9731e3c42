//! Answers on their way to a client: framed for its HTTP version, whole or streamed with back-pressure.

use super::counting::answer_bytes;
use super::exchange::{Asked, Exchange, Gone};
use crate::monitor::RouteStats;
use crate::origin::{Response, ResponseBody};
use crate::proto::cross_origin::Script;
use crate::proto::grip::Answer;
use crate::proto::http1::{self, Framing, Headers, LAST_CHUNK, ResponseHead};
use bytes::{Bytes, BytesMut};
use futures_lite::future::poll_once;
use http::{HeaderValue, header};
use std::rc::Rc;

/// A body part up to this size is sent together with the head, in one write.
const TOGETHER_BYTES: usize = 32 * 1024;

/// The bytes of an answer whose body is at hand, and whether the connection goes on after it.
pub fn whole(asked: Asked, answer: &Answer) -> (Bytes, bool) {
    let framing = match has_no_body(answer.status) {
        true => Framing::None { content_length: None },
        false => Framing::Length(answer.body.len() as u64),
    };
    let (mut out, keep) = begin(asked, answer, framing);
    if !has_no_content(asked, answer) {
        out.extend_from_slice(&answer.body);
    }
    (out.freeze(), keep)
}

/// Whether the client is sent the head of `answer` and nothing else.
pub fn has_no_content(asked: Asked, answer: &Answer) -> bool {
    asked.head || has_no_body(answer.status)
}

/// The head of a stream and what it starts with.
pub fn stream_opening(exchange: &Exchange, answer: &Answer) -> Bytes {
    let asked = exchange.asked;
    let framing = asked.body_writer().framing();
    let dressed = exchange.cross_origin().map(|cross_origin| {
        let headers = cross_origin.open(&answer.headers);
        Answer { headers, ..answer.clone() }
    });
    let answer = dressed.as_ref().unwrap_or(answer);
    exchange.count(|route_stats| count(route_stats, asked, answer));
    let (mut out, _) = begin(asked, answer, framing);
    put_part(&mut out, framing, &answer.body);
    out.freeze()
}

/// Sends an answer whose body is at hand, and finishes the exchange.
pub fn send_whole(exchange: &Rc<Exchange>, answer: &Answer) {
    send(exchange, answer, may_go_on(exchange), whole);
}

/// Sends the head of a stream whose client gets no content, without a length as a stream has none, and finishes the
/// exchange.
pub fn send_head(exchange: &Rc<Exchange>, answer: &Answer) {
    let answer = Answer { body: Bytes::new(), ..answer.clone() };
    send(exchange, &answer, may_go_on(exchange), |asked, answer| match has_no_content(asked, answer) {
        true => {
            let (out, keep) = begin(asked, answer, Framing::None { content_length: None });
            (out.freeze(), keep)
        }
        // It has become a script, which has content whatever the status that it tells of.
        false => whole(asked, answer),
    });
}

/// Sends an answer whose body is at hand, and ends the connection.
pub fn send_last(exchange: &Rc<Exchange>, answer: &Answer) {
    send(exchange, answer, false, whole);
}

/// Whether the client may use its connection again: a body that nobody read cannot be skipped without reading it.
fn may_go_on(exchange: &Exchange) -> bool {
    exchange.body_is_done() && !exchange.body_is_malformed()
}

fn send(
    exchange: &Rc<Exchange>,
    answer: &Answer,
    keep_alive: bool,
    encode: impl FnOnce(Asked, &Answer) -> (Bytes, bool),
) {
    let mut asked = exchange.asked;
    asked.keep_alive &= keep_alive;
    let dressed = exchange.cross_origin().map(|cross_origin| cross_origin.answer(answer));
    let answer = dressed.as_ref().unwrap_or(answer);
    exchange.count(|route_stats| count(route_stats, asked, answer));
    let (bytes, keep) = encode(asked, answer);
    if exchange.send(bytes).is_ok() {
        exchange.finish(keep);
    }
}

/// What the request says about its answer, now that this begins.
fn asked_of(exchange: &Exchange) -> Asked {
    Asked { keep_alive: exchange.asked.keep_alive && may_go_on(exchange), ..exchange.asked }
}

/// Counts an answer whose body is at hand.
pub fn count(route_stats: &mut RouteStats, asked: Asked, answer: &Answer) {
    let sent = &mut route_stats.client.sent;
    sent.header_bytes += answer_bytes(answer.status, answer.reason.as_deref(), &answer.headers);
    if !asked.head && !has_no_body(answer.status) {
        sent.content_bytes += answer.body.len() as u64;
    }
}

/// The answer to TRACE, which would show pages in browsers what only servers are to see of their requests, such as
/// cookies that scripts may not read, and what proxies on the way have added.
pub fn no_trace() -> Answer {
    let mut answer = text(405, "TRACE is not served here.\n");
    answer.headers.insert(header::ALLOW, ALLOWED);
    answer
}

/// The methods of most applications.
pub const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// The answer to a client that may try again after `retry_after_s`, as there is no room for it now.
pub fn unavailable(body: impl Into<Bytes>, retry_after_s: u32) -> Answer {
    let mut answer = text(503, body);
    answer.headers.insert(header::RETRY_AFTER, retry_after_s.into());
    answer
}

/// A plain text answer.
pub fn text(status: u16, body: impl Into<Bytes>) -> Answer {
    let mut headers = Headers::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Answer { status, reason: None, headers, body: body.into() }
}

/// Streams an origin's answer to the client as it comes, in constant memory, and finishes the exchange.
pub async fn relay(exchange: &Rc<Exchange>, mut response: Response) -> Result<u64, Gone> {
    if let Some(cross_origin) = exchange.cross_origin() {
        if let Some(script) = &cross_origin.script {
            return relay_as_script(exchange, response, script).await;
        }
        cross_origin.allowance.add_to(&mut response.headers);
    }
    let framing = framing_of(exchange.asked, &response);
    let (mut out, mut body) = (BytesMut::new(), response.body);
    let reason = response.reason.as_deref().and_then(|reason| std::str::from_utf8(reason).ok());
    let keep = encode(&mut out, asked_of(exchange), response.status, reason, &response.headers, framing);
    let head = || answer_bytes(response.status, reason, &response.headers);
    exchange.count(|route_stats| route_stats.client.sent.header_bytes += head());
    if exchange.asked.head || has_no_body(response.status) {
        exchange.send(out.freeze())?;
        exchange.finish(keep);
        return Ok(0);
    }
    let sent = relay_body(exchange, &mut body, framing, out).await?;
    if let Some(sent) = sent {
        exchange.finish(keep);
        return Ok(sent);
    }
    exchange.reset();
    Err(Gone)
}

/// The same for who asked for a script that says the answer.
async fn relay_as_script(exchange: &Rc<Exchange>, response: Response, script: &Script) -> Result<u64, Gone> {
    let response = match response.decoded(|| "the application".to_owned()).await {
        Ok(response) => response,
        Err(error) => {
            send_whole(exchange, &text(502, format!("{error}\n")));
            return Err(Gone);
        }
    };
    let Response { status, reason, headers, mut body, .. } = response;
    let reason = reason.as_deref().and_then(|reason| std::str::from_utf8(reason).ok());
    let framing = exchange.asked.body_writer().framing();
    let mut out = BytesMut::new();
    let script_headers = Script::headers(&headers).into();
    let keep = encode(&mut out, asked_of(exchange), 200, None, &script_headers, framing);
    exchange.count(|route_stats| {
        route_stats.client.sent.header_bytes += answer_bytes(200, None, &script_headers)
    });
    let mut text = BytesMut::new();
    let reason = reason.unwrap_or_else(|| http1::reason_phrase(status));
    let mut writer = script.begin(&mut text, status, reason, &headers);
    let mut sent = 0;
    while let Some(part) = body.next().await {
        let Ok(part) = part else {
            exchange.reset();
            return Err(Gone);
        };
        sent += part.len() as u64;
        exchange.count_answered(part.len());
        writer.push(&mut text, &part);
        put_part_paced(exchange, framing, &mut out, text.split().freeze()).await?;
    }
    writer.end(&mut text);
    put_part_paced(exchange, framing, &mut out, text.freeze()).await?;
    if matches!(framing, Framing::Chunked) {
        out.extend_from_slice(LAST_CHUNK);
    }
    exchange.send_paced(out.freeze()).await?;
    exchange.finish(keep);
    Ok(sent)
}

/// Sends `out` and all of `body` after it; `None` when the origin broke off.
async fn relay_body(
    exchange: &Exchange,
    body: &mut ResponseBody,
    framing: Framing,
    mut out: BytesMut,
) -> Result<Option<u64>, Gone> {
    let mut sent = 0;
    loop {
        let next = match poll_once(body.next()).await {
            Some(next) => next,
            None => {
                // Nothing at hand: what there is goes out now, a stream must not wait for its next part.
                exchange.send_paced(out.split().freeze()).await?;
                body.next().await
            }
        };
        match next {
            Some(Ok(part)) => {
                sent += part.len() as u64;
                exchange.count_answered(part.len());
                put_part_paced(exchange, framing, &mut out, part).await?;
            }
            Some(Err(_)) => {
                exchange.send_paced(out.freeze()).await?;
                return Ok(None);
            }
            None => break,
        }
    }
    if matches!(framing, Framing::Chunked) {
        out.extend_from_slice(LAST_CHUNK);
    }
    exchange.send_paced(out.freeze()).await?;
    Ok(Some(sent))
}

/// Small parts gather in `out`; a large one goes out by itself, uncopied.
async fn put_part_paced(
    exchange: &Exchange,
    framing: Framing,
    out: &mut BytesMut,
    part: Bytes,
) -> Result<(), Gone> {
    exchange.count(|route_stats| route_stats.client.sent.content_bytes += part.len() as u64);
    if out.len() + part.len() <= TOGETHER_BYTES {
        put_part(out, framing, &part);
        return Ok(());
    }
    if matches!(framing, Framing::Chunked) {
        debug_assert!(!part.is_empty(), "an empty chunk would end the body");
        out.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
    }
    exchange.send_paced(out.split().freeze()).await?;
    exchange.send_paced(part).await?;
    if matches!(framing, Framing::Chunked) {
        out.extend_from_slice(b"\r\n");
    }
    Ok(())
}

/// Sends a part of a stream whose head is out already.
pub async fn send_part(exchange: &Exchange, part: Bytes) -> Result<(), Gone> {
    let mut out = BytesMut::new();
    put_part_paced(exchange, exchange.asked.body_writer().framing(), &mut out, part).await?;
    exchange.send_paced(out.freeze()).await
}

fn put_part(out: &mut BytesMut, framing: Framing, part: &[u8]) {
    match framing {
        Framing::Chunked if !part.is_empty() => http1::encode_chunk(out, part),
        Framing::Chunked | Framing::None { .. } => {}
        Framing::Length(_) | Framing::Close => out.extend_from_slice(part),
    }
}

fn framing_of(asked: Asked, response: &Response) -> Framing {
    let length = response.body.exact_length();
    match length {
        _ if asked.head || has_no_body(response.status) => {
            Framing::None { content_length: declared_length(response) }
        }
        Some(length) => Framing::Length(length),
        None => asked.body_writer().framing(),
    }
}

/// The Content-Length that an answer without a body may still declare (RFC 9110 section 8.6).
fn declared_length(response: &Response) -> Option<u64> {
    let declared = response.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    declared.filter(|_| response.status >= 200 && response.status != 204)
}

fn has_no_body(status: u16) -> bool {
    (100..200).contains(&status) || status == 204 || status == 304
}

/// The head of `answer`, and whether the connection goes on after it.
fn begin(asked: Asked, answer: &Answer, framing: Framing) -> (BytesMut, bool) {
    let mut out = BytesMut::with_capacity(256 + answer.body.len());
    let keep = encode(&mut out, asked, answer.status, answer.reason.as_deref(), &answer.headers, framing);
    (out, keep)
}

/// Writes a head; gives whether the connection goes on after it.
fn encode(
    out: &mut BytesMut,
    asked: Asked,
    status: u16,
    reason: Option<&str>,
    headers: &Headers,
    framing: Framing,
) -> bool {
    let keep_alive = http1::persistence(asked.version, asked.keep_alive, framing);
    let version = asked.version;
    http1::encode_head(out, &ResponseHead { version, status, reason, headers, framing, keep_alive });
    keep_alive
}
