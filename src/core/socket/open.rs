//! The upgrade: the application is asked with OPEN, and the client gets 101 when it answers so. Anything else it answers
//! goes to the client as it is.

use super::talk::{Answered, answered, first_request};
use super::{Closing, Socket};
use crate::bell::Bell;
use crate::core::connection::Request;
use crate::core::exchange::Exchange;
use crate::core::{Core, proxy, respond};
use crate::origin::{OriginError, Response, Route};
use crate::proto::grip::WebSocketEvent;
use crate::proto::http1;
use crate::proto::websocket::{Handshake, HandshakeError};
use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// Answers a request for a WebSocket.
pub(in crate::core) async fn answer(exchange: &Rc<Exchange>, request: Request) {
    let handshake = match Handshake::read(&request.method, &request.headers) {
        Ok(handshake) => handshake,
        Err(error) => return respond::send_whole(exchange, &refusal(error)),
    };
    let Some(route) = proxy::find_route(exchange, &request, true) else {
        return proxy::fail(exchange, &request, None, &proxy::no_route(&request));
    };
    if !route.targets.first().is_some_and(|target| target.over_http) {
        let text = "WebSockets are served on routes whose target has over_http.\n";
        return respond::send_whole(exchange, &respond::text(501, text));
    }
    let socket = Socket::new(&request, route);
    let core = exchange.core();
    let response = match core.pool.request(&socket.route, first_request(core, &socket)).await {
        Ok(response) => response,
        Err(error) => return proxy::fail(exchange, &request, Some(&socket.route), &error),
    };
    if !is_events(&response) {
        // The application rejects the WebSocket in its own words.
        let _ = respond::relay(exchange, response).await;
        return;
    }
    accept(exchange, &request, socket, response, &handshake).await;
}

async fn accept(
    exchange: &Rc<Exchange>,
    request: &Request,
    mut socket: Socket,
    response: Response,
    handshake: &Handshake,
) {
    let headers = response.headers.clone();
    let target = response.target;
    let (Answered { events, interval_s, meta }, error) = match answered(response).await {
        Ok(answered) => (answered, None),
        Err(error) => (Answered::default(), Some(error)),
    };
    let mut events = events.into_iter();
    if error.is_some() || events.next() != Some(WebSocketEvent::Open) {
        let reason = error.unwrap_or_else(|| "the first event is not OPEN".to_owned());
        let error = OriginError::Instruct { target: socket.route.target_names(), reason };
        return proxy::fail(exchange, request, Some(&socket.route), &error);
    }
    socket.prefix = prefix(&headers);
    socket.interval_s.set(interval_s);
    socket.set_meta(meta);
    let socket = Rc::new(socket);
    let core = exchange.core().clone();
    let head = http1::switch_head("websocket", &switch_headers(headers, handshake));
    if exchange.send(head).is_err() {
        return;
    }
    let implied = socket.route.targets.get(target).map(|target| target.subscriptions.clone());
    let Some(rest) = core.become_socket(exchange, socket.clone()) else { return };
    core.talk_on(exchange.slot, &socket, implied.unwrap_or_default(), events.collect());
    core.socket_received(exchange.slot, &socket, &rest);
}

impl Socket {
    fn new(request: &Request, route: Arc<Route>) -> Socket {
        Socket {
            handshake: super::Handshake::keep(request),
            route,
            id: HeaderValue::try_from(uuid::Uuid::new_v4().to_string())
                .unwrap_or(HeaderValue::from_static("")),
            prefix: None,
            incoming: RefCell::default(),
            waiting: RefCell::default(),
            meta: RefCell::new(BTreeMap::new()),
            interval_s: Cell::new(None),
            clock: RefCell::default(),
            closing: Cell::new(Closing::No),
            talking: Cell::new(false),
            ask_again: Cell::new(false),
            detached: Cell::new(false),
            gone: Cell::new(false),
            changed: Bell::default(),
        }
    }
}

impl Core {
    /// The connection of `exchange` is a WebSocket from now on; what its client has sent ahead, unless it is gone.
    fn become_socket(&self, exchange: &Rc<Exchange>, socket: Rc<Socket>) -> Option<BytesMut> {
        let rest = exchange.take_rest();
        let mut rows = self.rows.borrow_mut();
        let row = rows.get(exchange.slot).filter(|row| exchange.owns(&row.phase))?;
        row.phase = crate::core::row::Phase::Socket(socket);
        drop(rows);
        self.timers.borrow_mut().cancel(exchange.slot);
        self.gauges.holds_total.add(1);
        Some(rest)
    }
}

/// Whether a response is a list of events.
fn is_events(response: &Response) -> bool {
    let content_type = response.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    response.status == 200 && content_type == Some(crate::proto::grip::WEBSOCKET_EVENTS.as_bytes())
}

/// The prefix that the application agreed to, `m:` unless it names another; `None` if it does not speak GRIP.
fn prefix(headers: &HeaderMap) -> Option<Box<str>> {
    let values = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS).iter();
    let mut extensions = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let grip =
        extensions.find(|extension| extension.split(';').next().unwrap_or_default().trim() == "grip")?;
    let mut parameters = grip.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let given = parameters.find(|(name, _)| name.trim() == "message-prefix");
    Some(given.map_or("m:", |(_, value)| value.trim().trim_matches('"')).into())
}

/// The headers of the 101: the application's, and those of the upgrade.
fn switch_headers(mut headers: HeaderMap, handshake: &Handshake) -> HeaderMap {
    let own: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            NOT_FOR_CLIENTS.contains(name)
                || name.as_str().starts_with("set-meta-")
                || name.as_str() == "keep-alive-interval"
        })
        .cloned()
        .collect();
    own.iter().for_each(|name| drop(headers.remove(name)));
    if let Ok(accept) = HeaderValue::from_str(&handshake.accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    headers
}

fn refusal(error: HandshakeError) -> crate::proto::grip::Answer {
    let mut answer = respond::text(error.status(), format!("{error}\n"));
    if error == HandshakeError::Version {
        answer.headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    answer
}

static NOT_FOR_CLIENTS: [HeaderName; 4] = [
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_ACCEPT,
];
