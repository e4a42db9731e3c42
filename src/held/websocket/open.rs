//! Answers the upgrade of a client's connection. The route says whether its application gets HTTP requests or a
//! WebSocket.

use super::open_socket::OpenSocket;
use super::socket::Socket;
use crate::clients::counting::answer_bytes;
use crate::clients::{Exchange, Request, answer};
use crate::held::Holds;
use crate::origin::{Destination, Route, Target};
use crate::proto::grip::Answer;
use crate::proto::http1::{self, Headers};
use crate::proto::websocket::{Handshake, HandshakeError};
use crate::requests::{Connect, Scheme, no_route};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use std::rc::Rc;
use std::sync::Arc;

impl Holds {
    /// Answers a request for a WebSocket.
    pub async fn answer_upgrade(self: &Rc<Self>, exchange: &Rc<Exchange>, request: Request) {
        let Some(route) = self.requests.find_route(exchange, &request, true) else {
            return self.requests.fail(exchange, &request, None, &no_route(&request));
        };
        match route.below_sockjs(&request.target).map(str::to_owned) {
            Some(below) => self.answer_sockjs(exchange, request, route, &below).await,
            None => self.answer_upgrade_on(exchange, request, route).await,
        }
    }

    /// Answers a request for a WebSocket by `route`.
    pub(in crate::held) async fn answer_upgrade_on(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        mut request: Request,
        route: Arc<Route>,
    ) {
        let handshake = match Handshake::read(&request.method, &request.headers) {
            Ok(handshake) => handshake,
            Err(error) => return answer::send_whole(exchange, &refusal(error)),
        };
        let connect = self.requests.connect(exchange, &mut request, &route, Scheme::WebSocket);
        let Connect::GoesOn { .. } = connect else { return };
        match route.targets.first().is_some_and(is_over_http) {
            true => self.open_over_http(exchange, request, route, &handshake).await,
            false => self.open_through(exchange, request, route, &handshake).await,
        }
    }

    /// Makes the connection of `exchange` a WebSocket. Returns the WebSocket, and the bytes that its client has sent
    /// ahead; `None` if the client is gone.
    pub(super) fn become_socket(
        &self,
        exchange: &Rc<Exchange>,
        socket: Rc<Socket>,
    ) -> Option<(OpenSocket, BytesMut)> {
        let slot = exchange.slot;
        socket.activity.was_counted(self.context.now());
        let rest = self.clients.hold(exchange, socket.clone())?;
        // The bytes that were sent ahead go to the WebSocket at once, and the WebSocket has bounds of its own.
        self.clients.resume(slot);
        self.clients.tell_connected(slot);
        self.context.metrics.holds_total.add(1);
        Some((OpenSocket { slot, socket }, rest))
    }
}

/// Whether the target gets HTTP requests. Built-in applications always do.
fn is_over_http(target: &Target) -> bool {
    target.over_http || !matches!(target.destination, Destination::Address { .. })
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

/// The head of the 101 that answers the `handshake` of `exchange`, with those of the application's headers that are for
/// the client.
pub(super) fn switch_head(exchange: &Exchange, mut headers: Headers, handshake: &Handshake) -> Bytes {
    exchange.count(|route_stats| route_stats.client.sent.header_bytes += answer_bytes(101, None, &headers));
    if let Ok(accept) = HeaderValue::from_str(&handshake.accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    http1::switch_head("websocket", &headers)
}

/// The answer to a client whose handshake breaks the protocol.
pub(in crate::held) fn refusal(error: HandshakeError) -> Answer {
    let mut refusal = answer::text(error.status(), format!("{error}\n"));
    if error == HandshakeError::Version {
        refusal.headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    refusal
}
