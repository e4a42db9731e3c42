//! Answers the requests of SockJS clients.

use super::session::{Attached, Told};
use crate::core::connection::Request;
use crate::core::exchange::Exchange;
use crate::core::{Core, respond, socket};
use crate::origin::{RETRY_AFTER_S, Route};
use crate::proto::grip::Answer;
use crate::proto::http1::reason_phrase;
use crate::proto::script::is_name;
use crate::proto::sockjs::{self, Endpoint, Transport, endpoint};
use crate::proto::websocket::is_upgrade;
use crate::runtime;
use bytes::Bytes;
use futures_lite::FutureExt;
use http::{HeaderMap, HeaderValue, Method, header};
use percent_encoding::percent_decode_str;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What a client may say at a time.
const SAID_BYTES: usize = 100_000;
/// How long a client waits for nothing.
const HEARTBEAT: Duration = Duration::from_secs(25);

/// Answers `request`, whose path is `below` the base of the route's service.
pub(in crate::core) async fn answer(
    exchange: &Rc<Exchange>,
    mut request: Request,
    route: Arc<Route>,
    below: &str,
) {
    let origin = request.headers.get(header::ORIGIN).cloned();
    let core = exchange.core().clone();
    let asked = endpoint(below);
    if asked == Some(Endpoint::Raw) && is_upgrade(&request.headers) {
        request.target = route.sockjs_target(&request.target, "/websocket");
        return socket::answer_on(exchange, request, route).await;
    }
    let answer = match (asked, &request.method) {
        (Some(_), &Method::OPTIONS) => preflight(),
        (Some(Endpoint::Info), &Method::GET) => {
            page("application/json; charset=UTF-8", sockjs::info(core.entropy()))
        }
        (Some(Endpoint::Iframe), &Method::GET) => iframe(&core, &request.headers),
        (Some(Endpoint::Session { session, transport }), method) => {
            let name = format!("{} {session}", route.id);
            match (transport, method) {
                (Transport::WebSocket, &Method::GET) if is_upgrade(&request.headers) => {
                    return super::socket::answer(exchange, request, route).await;
                }
                (Transport::Xhr, &Method::POST) => poll(exchange, request, route, &name, None).await,
                (Transport::Jsonp, &Method::GET) => match callback(&request.target) {
                    Some(callback) => poll(exchange, request, route, &name, Some(&callback)).await,
                    None => respond::text(400, "A callback is missing: ?c=name\n"),
                },
                (Transport::XhrSend | Transport::JsonpSend, &Method::POST) => {
                    send(exchange, &request, &name, transport).await
                }
                _ => not_found(),
            }
        }
        _ => not_found(),
    };
    respond::send_whole(exchange, &for_any_page(answer, origin));
}

/// Waits for what comes next in the conversation `name`, which begins with this if it is new.
async fn poll(
    exchange: &Rc<Exchange>,
    request: Request,
    route: Arc<Route>,
    name: &str,
    callback: Option<&str>,
) -> Answer {
    let core = exchange.core();
    let _ = exchange.collect_body(SAID_BYTES).await;
    let begun = core.sockjs.find_or_begin(name, || core.sockjs.place(core, &request));
    let Some((session, is_new)) = begun else { return no_place(core) };
    let Some(attached) = session.attach() else { return frame(sockjs::ANOTHER_CONNECTION, callback) };
    if is_new {
        let (sessions, name) = (core.sockjs.clone(), name.to_owned());
        let target = route.sockjs_target(&request.target, "");
        let request = Request { target, ..request };
        core.bridge(&session, request, route, move || sessions.remove(&name));
    }
    match next(&attached).await {
        Some(Told::Frame(text) | Told::Closed(text, ..)) => frame(&text, callback),
        Some(Told::Rejected(status)) => respond::text(status, format!("{}\n", reason_phrase(status))),
        None => not_found(),
    }
}

/// What the client is told next, if only that nothing has come.
pub(in crate::core) async fn next(attached: &Attached) -> Option<Told> {
    let heartbeat = async {
        runtime::sleep(HEARTBEAT).await;
        Some(Told::Frame(sockjs::HEARTBEAT.to_owned()))
    };
    attached.next().or(heartbeat).await
}

/// Takes what the client says in the conversation `name`.
async fn send(exchange: &Rc<Exchange>, request: &Request, name: &str, transport: Transport) -> Answer {
    let Some(session) = exchange.core().sockjs.find(name) else { return not_found() };
    let Ok(body) = exchange.collect_body(SAID_BYTES).await else {
        return respond::text(400, "The request's body is too large.\n");
    };
    let content_type = request.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_form = content_type.is_some_and(|kind| kind.starts_with(b"application/x-www-form-urlencoded"));
    let said = match transport == Transport::JsonpSend && (is_form || body.starts_with(b"d=")) {
        true => sockjs::said_in_form(&body),
        false => sockjs::said(&body),
    };
    let Some(said) = said else { return respond::text(400, "A list of texts in JSON is expected.\n") };
    match (session.say(said), transport) {
        (Err(_), _) => not_found(),
        (Ok(()), Transport::JsonpSend) => page("text/plain; charset=UTF-8", "ok"),
        (Ok(()), _) => Answer { status: 204, ..page("text/plain; charset=UTF-8", "") },
    }
}

/// A frame as a client of either kind waits for it.
fn frame(text: &str, callback: Option<&str>) -> Answer {
    match callback {
        None => page("application/javascript; charset=UTF-8", format!("{text}\n")),
        Some(callback) => {
            let script = format!("/**/{callback}({});\r\n", sockjs::quoted(text));
            page("application/javascript; charset=UTF-8", script)
        }
    }
}

/// The function that a script is to call: a name, because it stands in the script.
fn callback(target: &str) -> Option<String> {
    let (_, query) = target.split_once('?')?;
    let named =
        query.split('&').find_map(|pair| pair.strip_prefix("c=").or(pair.strip_prefix("callback=")))?;
    let named = percent_decode_str(named).decode_utf8().ok()?;
    is_name(&named).then(|| named.into_owned())
}

fn iframe(core: &Core, headers: &HeaderMap) -> Answer {
    let url = &core.settings().proxy.sockjs_url;
    let mut answer = page("text/html; charset=UTF-8", sockjs::iframe(url));
    let tag = HeaderValue::try_from(format!("\"{:x}\"", crc(&answer.body))).ok();
    if tag.is_some() && headers.get(header::IF_NONE_MATCH) == tag.as_ref() {
        (answer.status, answer.body) = (304, Bytes::new());
    }
    tag.into_iter().for_each(|tag| drop(answer.headers.insert(header::ETAG, tag)));
    let cache = HeaderValue::from_static("public, max-age=31536000");
    answer.headers.insert(header::CACHE_CONTROL, cache);
    answer
}

/// A number that tells pages apart.
fn crc(body: &[u8]) -> u64 {
    use std::hash::Hasher;
    let mut hasher = rustc_hash::FxHasher::default();
    hasher.write(body);
    hasher.finish()
}

fn preflight() -> Answer {
    let mut answer = Answer { status: 204, ..page("text/plain", "") };
    let methods = HeaderValue::from_static("OPTIONS, GET, POST");
    answer.headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    answer.headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Content-Type"));
    answer.headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("31536000"));
    answer
}

fn page(content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = respond::text(200, body);
    answer.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// There are too many conversations.
pub(super) fn no_place(core: &Core) -> Answer {
    core.gauges.refused_conversations_total.add(1);
    respond::unavailable("Too many conversations.\n", RETRY_AFTER_S)
}

fn not_found() -> Answer {
    respond::text(404, "Not Found\n")
}

/// Pages of every origin may have an answer, and none keeps it.
fn for_any_page(mut answer: Answer, origin: Option<HeaderValue>) -> Answer {
    let origin = origin.unwrap_or(HeaderValue::from_static("*"));
    answer.headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    answer.headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    let never = HeaderValue::from_static("no-store, no-cache, must-revalidate, max-age=0");
    answer.headers.entry(header::CACHE_CONTROL).or_insert(never);
    answer
}
