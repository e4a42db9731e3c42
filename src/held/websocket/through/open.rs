//! Answers the upgrade of a WebSocket that passes through: the application gets the client's handshake, and the client
//! gets the application's answer.

use super::Through;
use crate::clients::{Exchange, Request, answer, counting};
use crate::held::Holds;
use crate::held::websocket::open::{grip_prefix, switch_head};
use crate::held::websocket::socket::{Application, Socket};
use crate::origin::{self, OriginError, RequestBody, Route, UpgradeAnswer, Upgraded};
use crate::proto::websocket::Handshake;
use crate::requests::Scheme;
use http::{HeaderMap, HeaderValue, header};
use std::rc::Rc;
use std::sync::Arc;

impl Holds {
    /// Asks the application, and opens the WebSocket if it accepts.
    pub(in crate::held::websocket) async fn open_through(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        request: Request,
        route: Arc<Route>,
        handshake: &Handshake,
    ) {
        let asked = self.switch_request(&request, &route);
        counting::count_request(exchange, &asked);
        let upgraded = match self.requests.pool().switch(&route, asked).await {
            Ok(UpgradeAnswer::Switched(upgraded)) if accepts(&upgraded.headers, handshake) => upgraded,
            Ok(UpgradeAnswer::Switched(_)) => {
                let error = OriginError::Handshake { target: route.target_names() };
                return self.requests.fail(exchange, &request, Some(&route), &error);
            }
            // The application rejects the WebSocket; its answer is relayed to the client.
            Ok(UpgradeAnswer::Response(response)) => {
                counting::count_response(exchange, response.status, &response.headers);
                let _ = answer::relay(exchange, response).await;
                return;
            }
            Err(error) => return self.requests.fail(exchange, &request, Some(&route), &error),
        };
        counting::count_response(exchange, SWITCHED, &upgraded.headers);
        self.begin_through(exchange, &request, route, upgraded, handshake);
    }

    fn begin_through(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        request: &Request,
        route: Arc<Route>,
        upgraded: Upgraded,
        handshake: &Handshake,
    ) {
        let mut headers = upgraded.headers.clone();
        let grip = is_grip(request, &route).then(|| {
            let prefix = grip_prefix(&headers);
            headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
            prefix
        });
        let target = route.targets.get(upgraded.target);
        let channels = target.map(|target| target.subscriptions.clone()).unwrap_or_default();
        let origin = self.requests.origin_of(request, &route);
        let (asked_for, client) = (origin.asked_for().clone(), origin.client());
        let through = Through::new(asked_for, client, Some(upgraded), grip, exchange.owner());
        let socket = Rc::new(Socket::new(self, route, Application::Through(through.into())));
        socket.busy().has_task = true;
        if exchange.send(switch_head(exchange, headers, handshake)).is_err() {
            return;
        }
        let Some((open_socket, rest)) = self.become_socket(exchange, socket.clone()) else { return };
        self.start_relay(open_socket, true, channels);
        self.socket_received(exchange.slot, &socket, &rest);
    }

    /// The client's handshake for the application. Extensions are between this server and each side. On routes without
    /// GRIP and for other proxies they are between the two sides, because nothing here looks into messages.
    fn switch_request(&self, request: &Request, route: &Route) -> origin::Request {
        let mut switch = self.requests.origin_request(request, route, RequestBody::Empty, Scheme::WebSocket);
        let headers = &mut switch.headers;
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        if is_grip(request, route) {
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static("grip"));
        }
        switch
    }
}

/// Whether this server takes part in the conversation by GRIP.
fn is_grip(request: &Request, route: &Route) -> bool {
    !route.no_grip && !request.is_trusted
}

/// Whether the application's answer accepts the client's handshake (RFC 6455 section 4.1).
fn accepts(headers: &HeaderMap, handshake: &Handshake) -> bool {
    let accept = headers.get(header::SEC_WEBSOCKET_ACCEPT).map(|value| value.as_bytes().trim_ascii());
    accept == Some(handshake.accept.as_bytes())
}

/// The status with which the application accepts the WebSocket.
const SWITCHED: u16 = 101;
