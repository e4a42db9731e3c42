//! Writes answers to clients, framed for the client's HTTP version: whole, or streamed with back-pressure.

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

/// The bytes of an answer with a complete body, and whether the connection can be used for another request after it.
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

/// Whether only the head of `answer` is sent to the client.
pub fn has_no_content(asked: Asked, answer: &Answer) -> bool {
    asked.head || has_no_body(answer.status)
}

/// The head of a stream together with the first content of its body.
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

/// Sends an answer with a complete body, and finishes the exchange.
pub fn send_whole(exchange: &Rc<Exchange>, answer: &Answer) {
    send(exchange, answer, may_go_on(exchange), whole);
}

/// Sends the head of a stream whose client gets no content, and finishes the exchange. The head has no Content-Length,
/// because a stream has no length.
pub fn send_head(exchange: &Rc<Exchange>, answer: &Answer) {
    let answer = Answer { body: Bytes::new(), ..answer.clone() };
    send(exchange, &answer, may_go_on(exchange), |asked, answer| match has_no_content(asked, answer) {
        true => {
            let (out, keep) = begin(asked, answer, Framing::None { content_length: None });
            (out.freeze(), keep)
        }
        // The answer was turned into a script, and a script has content whatever the status inside it is.
        false => whole(asked, answer),
    });
}

/// Sends an answer with a complete body, and closes the connection.
pub fn send_last(exchange: &Rc<Exchange>, answer: &Answer) {
    send(exchange, answer, false, whole);
}

/// Whether the connection can be used for another request. It cannot if the body of this request was not read to its
/// end, or if connections are being drained.
fn may_go_on(exchange: &Exchange) -> bool {
    exchange.body_is_done() && !exchange.body_is_malformed() && exchange.goes_on()
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

/// How the answer must look, now that it begins: without keep-alive if the connection cannot be used again.
fn asked_of(exchange: &Exchange) -> Asked {
    Asked { keep_alive: exchange.asked.keep_alive && may_go_on(exchange), ..exchange.asked }
}

/// Counts an answer with a complete body.
pub fn count(route_stats: &mut RouteStats, asked: Asked, answer: &Answer) {
    let sent = &mut route_stats.client.sent;
    sent.header_bytes += answer_bytes(answer.status, answer.reason.as_deref(), &answer.headers);
    if !asked.head && !has_no_body(answer.status) {
        sent.content_bytes += answer.body.len() as u64;
    }
}

/// The answer to TRACE. TRACE is refused because its answer would show scripts in browsers what only servers may see of
/// requests, such as cookies that are closed to scripts, and headers that proxies have added.
pub fn no_trace() -> Answer {
    let mut answer = text(405, "TRACE is not served here.\n");
    answer.headers.insert(header::ALLOW, ALLOWED);
    answer
}

/// The methods that most applications have.
pub const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// An answer that says: there is no room now, try again after `retry_after_s`.
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

/// Streams an origin's answer to the client as it arrives, in constant memory, and finishes the exchange. Returns the
/// bytes of its body.
///
/// # Errors
/// If the client is gone, or if the origin ended its answer too early; the client's connection is then reset.
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

/// Streams an origin's answer as [`relay`] does, inside a script (JSONP).
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

/// Sends `out` and then all of `body`. Returns the bytes of the body, or `None` if the origin ended it too early.
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
                // No further part has arrived, so `out` is sent now: a part of a stream must not wait for the next
                // part.
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

/// Appends a small part to `out`, and sends a large part by itself, without copying it.
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

/// Sends a part of a stream whose head has been sent.
///
/// # Errors
/// If the client is gone.
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

/// The head of `answer`, and whether the connection can be used for another request after it.
fn begin(asked: Asked, answer: &Answer, framing: Framing) -> (BytesMut, bool) {
    let mut out = BytesMut::with_capacity(256 + answer.body.len());
    let keep = encode(&mut out, asked, answer.status, answer.reason.as_deref(), &answer.headers, framing);
    (out, keep)
}

/// Writes a head. Returns whether the connection can be used for another request after the answer.
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
