//! Answers the requests of SockJS clients.

use super::session::{Attached, ToClient};
use crate::clients::{Exchange, Request, answer};
use crate::held::Holds;
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

/// Bytes of the largest request with messages.
const SAID_BYTES: usize = 100_000;
/// How long a client waits for messages before it is sent a heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(25);

impl Holds {
    /// Answers `request`, whose path is `below` the base of the route's service.
    pub(in crate::held) async fn answer_sockjs(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        mut request: Request,
        route: Arc<Route>,
        below: &str,
    ) {
        let origin = request.headers.get(header::ORIGIN).cloned();
        let asked = endpoint(below);
        if asked == Some(Endpoint::Raw) && is_upgrade(&request.headers) {
            request.target = route.sockjs_target(&request.target, "/websocket");
            return self.answer_upgrade_on(exchange, request, route).await;
        }
        let page = match (asked, &request.method) {
            (Some(_), &Method::OPTIONS) => preflight(),
            (Some(Endpoint::Info), &Method::GET) => {
                page("application/json; charset=UTF-8", sockjs::info(self.requests.entropy()))
            }
            (Some(Endpoint::Iframe), &Method::GET) => self.iframe(&request.headers),
            (Some(Endpoint::Session { session, transport }), method) => {
                let name = format!("{} {session}", route.id);
                match (transport, method) {
                    (Transport::WebSocket, &Method::GET) if is_upgrade(&request.headers) => {
                        return self.answer_sockjs_upgrade(exchange, request, route).await;
                    }
                    (Transport::Xhr, &Method::POST) => {
                        self.poll_sockjs(exchange, request, route, &name, None).await
                    }
                    (Transport::Jsonp, &Method::GET) => match callback(&request.target) {
                        Some(callback) => {
                            self.poll_sockjs(exchange, request, route, &name, Some(&callback)).await
                        }
                        None => answer::text(400, "A callback is missing: ?c=name\n"),
                    },
                    (Transport::XhrSend | Transport::JsonpSend, &Method::POST) => {
                        self.say_sockjs(exchange, &request, &name, transport).await
                    }
                    _ => not_found(),
                }
            }
            _ => not_found(),
        };
        answer::send_whole(exchange, &for_any_page(page, origin));
    }

    /// Waits for the next messages of the conversation `name`. A new conversation begins with this request.
    async fn poll_sockjs(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        request: Request,
        route: Arc<Route>,
        name: &str,
        callback: Option<&str>,
    ) -> Answer {
        let _ = exchange.collect_body(SAID_BYTES).await;
        let begun = self.sockjs.find_or_begin(name, || self.sockjs.place(&self.context.settings(), &request));
        let Some((session, is_new)) = begun else { return self.no_place() };
        let Some(attached) = session.attach() else { return frame(sockjs::ANOTHER_CONNECTION, callback) };
        if is_new {
            let (sessions, name) = (self.sockjs.clone(), name.to_owned());
            let target = route.sockjs_target(&request.target, "");
            let request = Request { target, ..request };
            self.bridge(&session, request, route, move || sessions.remove(&name));
        }
        match next(&attached).await {
            Some(ToClient::Frame(text) | ToClient::Closed(text, ..)) => frame(&text, callback),
            Some(ToClient::Rejected(status)) => answer::text(status, format!("{}\n", reason_phrase(status))),
            None => not_found(),
        }
    }

    /// Takes the client's messages of the conversation `name`.
    async fn say_sockjs(
        &self,
        exchange: &Rc<Exchange>,
        request: &Request,
        name: &str,
        transport: Transport,
    ) -> Answer {
        let Some(session) = self.sockjs.find(name) else { return not_found() };
        let Ok(body) = exchange.collect_body(SAID_BYTES).await else {
            return answer::text(400, "The request's body is too large.\n");
        };
        let content_type = request.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_form = content_type.is_some_and(|kind| kind.starts_with(b"application/x-www-form-urlencoded"));
        let said = match transport == Transport::JsonpSend && (is_form || body.starts_with(b"d=")) {
            true => sockjs::said_in_form(&body),
            false => sockjs::said(&body),
        };
        let Some(said) = said else {
            return answer::text(400, "The body must be a JSON list of strings.\n");
        };
        match (session.say(said), transport) {
            (Err(_), _) => not_found(),
            (Ok(()), Transport::JsonpSend) => page("text/plain; charset=UTF-8", "ok"),
            (Ok(()), _) => Answer { status: 204, ..page("text/plain; charset=UTF-8", "") },
        }
    }

    fn iframe(&self, headers: &HeaderMap) -> Answer {
        let url = &self.context.settings().proxy.sockjs_url;
        let mut frame = page("text/html; charset=UTF-8", sockjs::iframe(url));
        let tag = HeaderValue::try_from(format!("\"{:x}\"", crc(&frame.body))).ok();
        if tag.is_some() && headers.get(header::IF_NONE_MATCH) == tag.as_ref() {
            (frame.status, frame.body) = (304, Bytes::new());
        }
        tag.into_iter().for_each(|tag| drop(frame.headers.insert(header::ETAG, tag)));
        let cache = HeaderValue::from_static("public, max-age=31536000");
        frame.headers.insert(header::CACHE_CONTROL, cache);
        frame
    }

    /// The answer if there are too many conversations.
    pub(super) fn no_place(&self) -> Answer {
        self.context.metrics.refused_conversations_total.add(1);
        answer::unavailable("Too many conversations.\n", RETRY_AFTER_S)
    }
}

/// The next frame for the client; a heartbeat if there has been none for a while.
pub(in crate::held) async fn next(attached: &Attached) -> Option<ToClient> {
    let heartbeat = async {
        runtime::sleep(HEARTBEAT).await;
        Some(ToClient::Frame(sockjs::HEARTBEAT.to_owned()))
    };
    attached.next().or(heartbeat).await
}

/// The answer with a frame: as a script if there is a `callback` (JSONP), else as text.
fn frame(text: &str, callback: Option<&str>) -> Answer {
    match callback {
        None => page("application/javascript; charset=UTF-8", format!("{text}\n")),
        Some(callback) => {
            let script = format!("/**/{callback}({});\r\n", sockjs::quoted(text));
            page("application/javascript; charset=UTF-8", script)
        }
    }
}

/// The function that a JSONP script calls. It must be a plain name, because it stands in the script.
fn callback(target: &str) -> Option<String> {
    let (_, query) = target.split_once('?')?;
    let named =
        query.split('&').find_map(|pair| pair.strip_prefix("c=").or(pair.strip_prefix("callback=")))?;
    let named = percent_decode_str(named).decode_utf8().ok()?;
    is_name(&named).then(|| named.into_owned())
}

/// A checksum of a page, for its ETag.
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
    let mut answer = answer::text(200, body);
    answer.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

fn not_found() -> Answer {
    answer::text(404, "Not Found\n")
}

/// Allows pages of every origin to read the answer, and forbids caching it.
fn for_any_page(mut answer: Answer, origin: Option<HeaderValue>) -> Answer {
    let origin = origin.unwrap_or(HeaderValue::from_static("*"));
    answer.headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    answer.headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    let never = HeaderValue::from_static("no-store, no-cache, must-revalidate, max-age=0");
    answer.headers.entry(header::CACHE_CONTROL).or_insert(never);
    answer
}
