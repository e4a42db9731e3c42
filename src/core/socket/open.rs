//! The upgrade of a request to a WebSocket: checked here, and answered as the application of its route wants it.

use super::{Socket, over_http, through};
use crate::core::connection::Request;
use crate::core::count::answer_bytes;
use crate::core::exchange::Exchange;
use crate::core::row::Phase;
use crate::core::{Core, proxy, respond, sockjs};
use crate::origin::{Destination, Route, Target};
use crate::proto::grip::Answer;
use crate::proto::http1::{self, Headers};
use crate::proto::websocket::{Handshake, HandshakeError};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use std::rc::Rc;
use std::sync::Arc;

/// Answers a request for a WebSocket.
pub(in crate::core) async fn answer(exchange: &Rc<Exchange>, request: Request) {
    let Some(route) = proxy::find_route(exchange, &request, true) else {
        return proxy::fail(exchange, &request, None, &proxy::no_route(&request));
    };
    match route.below_sockjs(&request.target).map(str::to_owned) {
        Some(below) => sockjs::answer(exchange, request, route, &below).await,
        None => answer_on(exchange, request, route).await,
    }
}

/// The same on a route that is known.
pub(in crate::core) async fn answer_on(exchange: &Rc<Exchange>, request: Request, route: Arc<Route>) {
    let handshake = match Handshake::read(&request.method, &request.headers) {
        Ok(handshake) => handshake,
        Err(error) => return respond::send_whole(exchange, &refusal(error)),
    };
    if let Some(error) = proxy::forged_events(&request, &route) {
        return proxy::fail(exchange, &request, Some(&route), &error);
    }
    match route.targets.first().is_some_and(is_over_http) {
        true => over_http::open(exchange, request, route, &handshake).await,
        false => through::open(exchange, request, route, &handshake).await,
    }
}

/// Built-in applications know WebSockets as requests only.
fn is_over_http(target: &Target) -> bool {
    target.over_http || !matches!(target.destination, Destination::Address { .. })
}

impl Core {
    /// The connection of `exchange` is a WebSocket from now on; what its client has sent ahead, unless it is gone.
    pub(super) fn become_socket(&self, exchange: &Rc<Exchange>, socket: Rc<Socket>) -> Option<BytesMut> {
        let rest = exchange.take_rest();
        socket.activity.was_counted(self.now());
        {
            let mut rows = self.rows.borrow_mut();
            let row = rows.get(exchange.slot).filter(|row| exchange.owns(&row.phase))?;
            row.phase = Phase::Socket(socket);
        }
        // What was sent ahead goes to the WebSocket at once, which has bounds of its own.
        self.wire.borrow_mut().resume(exchange.slot);
        self.timers.borrow_mut().cancel(exchange.slot);
        self.socket_begins(exchange.slot);
        self.gauges.holds_total.add(1);
        Some(rest)
    }
}

/// The prefix of messages for the client that the application agreed to, `m:` unless it names another; `None` if it
/// does not speak GRIP.
pub(super) fn grip_prefix(headers: &HeaderMap) -> Option<Box<str>> {
    let values = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS).iter();
    let mut extensions = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let grip =
        extensions.find(|extension| extension.split(';').next().unwrap_or_default().trim() == "grip")?;
    let mut parameters = grip.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let given = parameters.find(|(name, _)| name.trim() == "message-prefix");
    Some(given.map_or("m:", |(_, value)| value.trim().trim_matches('"')).into())
}

/// The 101 that answers the `handshake` of `exchange`, with what of the application's headers is for the client.
pub(super) fn switch_head(exchange: &Exchange, mut headers: Headers, handshake: &Handshake) -> Bytes {
    exchange.count(|tally| tally.client.sent.header_bytes += answer_bytes(101, None, &headers));
    if let Ok(accept) = HeaderValue::from_str(&handshake.accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    http1::switch_head("websocket", &headers)
}

pub(in crate::core) fn refusal(error: HandshakeError) -> Answer {
    let mut answer = respond::text(error.status(), format!("{error}\n"));
    if error == HandshakeError::Version {
        answer.headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    answer
}
