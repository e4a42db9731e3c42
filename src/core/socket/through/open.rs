//! The upgrade of a WebSocket that passes through: the application gets the client's handshake, and the client what the
//! application answers to it.

use super::Through;
use super::relay::relay;
use crate::core::connection::Request;
use crate::core::exchange::Exchange;
use crate::core::proxy::{self, Scheme};
use crate::core::socket::open::{grip_prefix, switch_head};
use crate::core::socket::place::Place;
use crate::core::socket::{Application, Socket};
use crate::core::{Core, count, respond};
use crate::origin::{self, Answer, OriginError, RequestBody, Route, Upgraded};
use crate::proto::websocket::Handshake;
use crate::runtime;
use http::{HeaderMap, HeaderValue, header};
use std::rc::Rc;
use std::sync::Arc;

/// Asks the application, and opens the WebSocket if it accepts.
pub(in crate::core::socket) async fn open(
    exchange: &Rc<Exchange>,
    request: Request,
    route: Arc<Route>,
    handshake: &Handshake,
) {
    let core = exchange.core().clone();
    let asked = switch_request(&core, &request, &route);
    count::count_request(exchange, &asked);
    let upgraded = match core.pool.switch(&route, asked).await {
        Ok(Answer::Switched(upgraded)) if accepts(&upgraded.headers, handshake) => upgraded,
        Ok(Answer::Switched(_)) => {
            let error = OriginError::Handshake { target: route.target_names() };
            return proxy::fail(exchange, &request, Some(&route), &error);
        }
        // The application rejects the WebSocket in its own words.
        Ok(Answer::Response(response)) => {
            count::count_response(exchange, response.status, &response.headers);
            let _ = respond::relay(exchange, response).await;
            return;
        }
        Err(error) => return proxy::fail(exchange, &request, Some(&route), &error),
    };
    count::count_response(exchange, SWITCHED, &upgraded.headers);
    let grip = is_grip(&request, &route);
    let origin = core.origin_of(&request, &route);
    let through = Through::new(origin.asked_for().clone(), origin.client(), grip, &core.accounts.requests);
    begin(exchange, route, grip, through, upgraded, handshake);
}

/// Whether this server takes part in what the two sides say.
fn is_grip(request: &Request, route: &Route) -> bool {
    !route.no_grip && !request.is_trusted
}

fn begin(
    exchange: &Rc<Exchange>,
    route: Arc<Route>,
    grip: bool,
    through: Through,
    upgraded: Upgraded,
    handshake: &Handshake,
) {
    let core = exchange.core().clone();
    let mut headers = upgraded.headers.clone();
    let mut prefix = None;
    if grip {
        prefix = grip_prefix(&headers);
        headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
    }
    let socket = Rc::new(Socket::new(route, Application::Through(through.into())));
    socket.busy().has_task = true;
    if exchange.send(switch_head(exchange, headers, handshake)).is_err() {
        return;
    }
    let Some(rest) = core.become_socket(exchange, socket.clone()) else { return };
    let place = Place { core: core.clone(), slot: exchange.slot, socket: socket.clone() };
    runtime::spawn(async move {
        place.head_has_gone().await;
        relay(&place, &upgraded, prefix).await;
    })
    .detach();
    core.socket_received(exchange.slot, &socket, &rest);
}

/// The client's handshake for the application. Extensions are between this server and each side, but for routes without
/// GRIP and for other proxies, where nothing looks into the messages.
fn switch_request(core: &Core, request: &Request, route: &Route) -> origin::Request {
    let mut switch = proxy::origin_request(core, request, route, RequestBody::Empty, Scheme::WebSocket);
    let headers = &mut switch.headers;
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if is_grip(request, route) {
        headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static("grip"));
    }
    switch
}

/// Whether the application has read the client's handshake (RFC 6455 section 4.1).
fn accepts(headers: &HeaderMap, handshake: &Handshake) -> bool {
    let accept = headers.get(header::SEC_WEBSOCKET_ACCEPT).map(|value| value.as_bytes().trim_ascii());
    accept == Some(handshake.accept.as_bytes())
}

/// The application speaks WebSocket from then on.
const SWITCHED: u16 = 101;
