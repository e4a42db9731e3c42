//! A client that speaks SockJS by a WebSocket: each message that the client gets is a SockJS frame, and each message
//! that it sends is a list of messages.

use super::life::note_ping;
use super::open::switch_head;
use super::open_socket::OpenSocket;
use super::socket::{Application, Closing, Socket};
use crate::clients::Exchange;
use crate::held::Holds;
use crate::held::sockjs::{Attached, Session, ToClient, next};
use crate::ids::Slot;
use crate::origin::Route;
use crate::proto::grip::WebSocketEvent;
use crate::proto::http1::Headers;
use crate::proto::sockjs;
use crate::proto::websocket::{Close, Handshake, Opcode, ProtocolError, close_frame, frame};
use crate::runtime;
use std::rc::Rc;
use std::sync::Arc;

/// The largest list of messages.
const SAID_BYTES: usize = 100_000;

impl Holds {
    /// Makes the connection of `exchange` such a WebSocket.
    pub(in crate::held) fn begin_sockjs(
        self: &Rc<Self>,
        exchange: &Rc<Exchange>,
        handshake: &Handshake,
        route: Arc<Route>,
        attached: Attached,
    ) {
        let session = attached.session.clone();
        let socket = Rc::new(Socket::new(self, route, Application::SockJs(session.clone())));
        socket.busy().has_task = true;
        if exchange.send(switch_head(exchange, Headers::new(), handshake)).is_err() {
            return session.leave();
        }
        let Some((open_socket, rest)) = self.become_socket(exchange, socket.clone()) else {
            return session.leave();
        };
        runtime::spawn(async move { tell(&open_socket, &attached).await }).detach();
        self.socket_received(exchange.slot, &socket, &rest);
    }

    /// Takes bytes from such a client.
    pub(super) fn received_sockjs(
        self: &Rc<Self>,
        slot: Slot,
        socket: &Rc<Socket>,
        session: &Session,
        bytes: &[u8],
    ) -> Result<(), ProtocolError> {
        let (mut leaves, mut pings) = (false, Vec::new());
        socket.decode(self, bytes, SAID_BYTES, |event| {
            match event {
                WebSocketEvent::Ping(content) => note_ping(&mut pings, content),
                WebSocketEvent::Text(content) if content.is_empty() => {}
                WebSocketEvent::Text(content) => {
                    // A message that is no list, or a list for which there is no room, ends the conversation.
                    leaves = sockjs::said(&content).is_none_or(|said| session.say(said).is_err());
                }
                WebSocketEvent::Close(_) => leaves = true,
                _ => {}
            }
            !leaves
        })?;
        self.answer_pings(slot, &pings);
        if leaves {
            let frame = close_frame(Some(&Close::with(Close::NORMAL)));
            let _ = self.clients.send(slot, frame);
            self.close_socket(slot, socket, true);
        }
        Ok(())
    }
}

/// Sends the frames of the conversation to the client, until its end.
async fn tell(open_socket: &OpenSocket, attached: &Attached) {
    open_socket.head_has_gone().await;
    while let Some(told) = next(attached).await {
        match told {
            ToClient::Frame(text) => open_socket.send(frame(Opcode::Text, text.as_bytes())).await,
            ToClient::Closed(text, code, reason) => {
                open_socket.send(frame(Opcode::Text, text.as_bytes())).await;
                let code = if Close::may_be_sent(code) { code } else { Close::NORMAL };
                open_socket.send(close_frame(Some(&Close { code, reason: reason.into() }))).await;
                break;
            }
            ToClient::Rejected(_) => break,
        }
    }
    if open_socket.socket.closing.get() == Closing::No && !open_socket.is_over() {
        open_socket.holds().close_was_sent(open_socket.slot, &open_socket.socket);
    }
    open_socket.socket.busy().has_task = false;
    open_socket.socket.settle();
}
