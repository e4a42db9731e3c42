//! Answers the upgrade of a WebSocket over HTTP: the application is sent OPEN, and the client gets 101 if the
//! application's answer accepts. Any other answer is relayed to the client.

use super::answer::{Answered, answered};
use super::event_batch::EventBatch;
use super::state::OverHttp;
use crate::clients::counting::request_bytes;
use crate::clients::{Exchange, Request, answer, counting};
use crate::held::Holds;
use crate::held::websocket::open::{grip_prefix, switch_head};
use crate::held::websocket::socket::{Application, Socket};
use crate::ids::ConnectionId;
use crate::origin::{OriginError, Response, Route};
use crate::proto::grip::{WEBSOCKET_EVENTS, WebSocketEvent};
use crate::proto::http1::Headers;
use crate::proto::websocket::{Compression, Handshake};
use http::{HeaderName, HeaderValue, header};
use std::rc::Rc;
use std::sync::Arc;

impl Holds {
    /// Asks the application, and opens the WebSocket if it accepts.
    pub(in crate::held::websocket) async fn open_over_http(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        request: Request,
        route: Arc<Route>,
        handshake: &Handshake,
    ) {
        let compression = match self.context.settings().websocket.compression {
            true => Compression::negotiate(&request.headers),
            false => None,
        };
        let over_http = OverHttp::new(
            &request,
            compression,
            ConnectionId::new_for_application(self.context.id, exchange.slot),
            self.context.now(),
        );
        let first = over_http.request(&self.requests, &route, None, &EventBatch::to_open());
        let head = || request_bytes(first.method.as_str(), &first.path_and_query, &first.headers);
        exchange.count(|route_stats| route_stats.server.sent.header_bytes += head());
        let response = match self.requests.pool().request(&route, first).await {
            Ok(response) => {
                counting::count_response(exchange, response.status, &response.headers);
                response
            }
            Err(error) => return self.requests.fail(exchange, &request, Some(&route), &error),
        };
        let socket = Socket::new(self, route, Application::OverHttp(over_http));
        if !is_events(&response) {
            // The application rejects the WebSocket; its answer is relayed to the client.
            let _ = answer::relay(exchange, response).await;
            return;
        }
        self.accept(exchange, &request, socket, response, handshake).await;
    }

    async fn accept(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        request: &Request,
        socket: Socket,
        response: Response,
        handshake: &Handshake,
    ) {
        let headers = response.headers.clone();
        let target = response.target;
        let answered = match answered(response, self.context.settings().websocket.message_bytes)
            .await
            .and_then(accepting)
        {
            Ok(answered) => answered,
            Err(reason) => {
                let error = OriginError::Instruct { target: socket.route().target_names(), reason };
                return self.requests.fail(exchange, request, Some(socket.route()), &error);
            }
        };
        socket.set_grip(grip_prefix(&headers));
        let answering = socket.route().targets.get(target);
        if let Some(over_http) = socket.over_http() {
            over_http.one_event.set(answering.is_some_and(|target| target.one_event));
        }
        let implied = answering.map(|target| target.subscriptions.clone());
        let socket = Rc::new(socket);
        let mut headers = without_own(headers);
        let extension = socket.compression().and_then(|it| HeaderValue::try_from(it.answer()).ok());
        if let Some(extension) = extension {
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, extension);
        }
        if exchange.send(switch_head(exchange, headers, handshake)).is_err() {
            return;
        }
        let Some((open_socket, rest)) = self.become_socket(exchange, socket.clone()) else { return };
        self.talk_on(open_socket, implied.unwrap_or_default(), answered);
        self.socket_received(exchange.slot, &socket, &rest);
    }
}

/// Takes OPEN out of an answer. An answer that accepts the WebSocket begins with it.
fn accepting(mut answered: Answered) -> Result<Answered, String> {
    match answered.events.first() {
        Some(WebSocketEvent::Open) => drop(answered.events.remove(0)),
        _ => return Err("the first event is not OPEN".to_owned()),
    }
    Ok(answered)
}

impl Socket {
    fn set_grip(&self, prefix: Option<Box<str>>) {
        if let Some(over_http) = self.over_http() {
            over_http.grip.set(prefix.is_some());
        }
        if let Some(prefix) = prefix.filter(|prefix| **prefix != *STANDARD_PREFIX) {
            self.rare().prefix = Some(prefix);
        }
    }
}

/// Whether a response is a list of events. Parameters of the content type are ignored, because frameworks add some,
/// such as `charset`.
fn is_events(response: &Response) -> bool {
    let content_type = response.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let kind = content_type.and_then(|value| value.split(|byte| *byte == b';').next()).unwrap_or_default();
    response.status == 200 && kind.trim_ascii().eq_ignore_ascii_case(WEBSOCKET_EVENTS.as_bytes())
}

/// The headers of the answer that are for the client.
fn without_own(mut headers: Headers) -> Headers {
    let is_own = |name: &&HeaderName| OWN.contains(&name.as_str()) || name.as_str().starts_with("set-meta-");
    let own: Vec<HeaderName> = headers.keys().filter(is_own).cloned().collect();
    own.iter().for_each(|name| drop(headers.remove(name)));
    headers
}

const OWN: [&str; 5] = [
    "content-length",
    "content-type",
    "keep-alive-interval",
    "content-bytes-accepted",
    "sec-websocket-extensions",
];
/// The prefix of messages for the client, unless the application names another.
pub(super) const STANDARD_PREFIX: &str = "m:";
