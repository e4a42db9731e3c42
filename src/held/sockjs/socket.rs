//! Begins a SockJS conversation by a WebSocket: the client's WebSocket is opened when the application's is.
//! `websocket/sockjs` goes on from there.

use super::session::Session;
use crate::clients::{Exchange, Request, answer};
use crate::held::Holds;
use crate::held::websocket::refusal;
use crate::origin::Route;
use crate::proto::http1::reason_phrase;
use crate::proto::websocket::Handshake;
use std::rc::Rc;
use std::sync::Arc;

impl Holds {
    /// Answers a SockJS client's request for a WebSocket.
    pub(super) async fn answer_sockjs_upgrade(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        request: Request,
        route: Arc<Route>,
    ) {
        let handshake = match Handshake::read(&request.method, &request.headers) {
            Ok(handshake) => handshake,
            Err(error) => return answer::send_whole(exchange, &refusal(error)),
        };
        let Some(place) = self.sockjs.place(&self.context.settings(), &request) else {
            return answer::send_whole(exchange, &self.no_place());
        };
        let session = Session::new(Some(place));
        let Some(attached) = session.attach() else { return };
        let mut leaves = Leaves(Some(session.clone()));
        let target = route.sockjs_target(&request.target, "");
        self.bridge(&session, Request { target, ..request }, route.clone(), || ());
        if let Err(status) = attached.opened().await {
            let reason = format!("{}\n", reason_phrase(status));
            return answer::send_whole(exchange, &answer::text(status, reason));
        }
        leaves.0 = None;
        self.begin_sockjs(exchange, &handshake, route, attached);
    }
}

/// Ends the conversation if the client is gone before it is open.
struct Leaves(Option<Arc<Session>>);

impl Drop for Leaves {
    fn drop(&mut self) {
        if let Some(session) = &self.0 {
            session.leave();
        }
    }
}
