//! The beginning of SockJS by a WebSocket: the client's is opened when the application's is. The rest is in the room of
//! WebSockets.

use super::Session;
use super::serve::no_place;
use crate::core::connection::Request;
use crate::core::exchange::Exchange;
use crate::core::{respond, socket};
use crate::origin::Route;
use crate::proto::http1::reason_phrase;
use crate::proto::websocket::Handshake;
use std::rc::Rc;
use std::sync::Arc;

/// Answers a client that asks for a WebSocket.
pub(super) async fn answer(exchange: &Rc<Exchange>, request: Request, route: Arc<Route>) {
    let handshake = match Handshake::read(&request.method, &request.headers) {
        Ok(handshake) => handshake,
        Err(error) => return respond::send_whole(exchange, &socket::refusal(error)),
    };
    let core = exchange.core();
    let Some(place) = core.sockjs.place(core, &request) else {
        return respond::send_whole(exchange, &no_place(core));
    };
    let session = Session::new(Some(place));
    let Some(attached) = session.attach() else { return };
    let mut leaves = Leaves(Some(session.clone()));
    let target = route.sockjs_target(&request.target, "");
    exchange.core().bridge(&session, Request { target, ..request }, route.clone(), || ());
    if let Err(status) = attached.opened().await {
        let reason = format!("{}\n", reason_phrase(status));
        return respond::send_whole(exchange, &respond::text(status, reason));
    }
    leaves.0 = None;
    exchange.core().begin_sockjs(exchange, &handshake, route, attached);
}

/// Ends the conversation of a client that is gone before it is open.
struct Leaves(Option<Arc<Session>>);

impl Drop for Leaves {
    fn drop(&mut self) {
        if let Some(session) = &self.0 {
            session.leave();
        }
    }
}
