//! The task of a WebSocket that passes through, from its opening until one side is gone.

use super::Through;
use crate::held::websocket::open_socket::OpenSocket;
use crate::held::websocket::socket::{Application, Closing};
use crate::origin::Upgraded;
use crate::patience;
use crate::proto::websocket::{Relay, Relayed};
use bytes::{Bytes, BytesMut};
use futures_lite::FutureExt;
use std::future::pending;
use std::io;
use std::time::Duration;

/// How long an application may take to read the client's last bytes, or to close, after its client is gone or it has
/// detached.
const PATIENCE: Duration = Duration::from_secs(10);

/// Carries frames between the client of `open_socket` and its application until one of them is gone.
pub(super) async fn relay(open_socket: &OpenSocket, application: &Upgraded, prefix: Option<Box<str>>) {
    let Application::Through(through) = &open_socket.socket.application else { return };
    let target = open_socket.socket.route().targets.get(application.target);
    for channel in target.into_iter().flat_map(|target| &target.subscriptions) {
        open_socket.join(channel).await;
    }
    let down = to_client(open_socket, through, application, Relay::new(prefix));
    down.or(to_application(open_socket, through, application)).await;
    if open_socket.socket.detached.get() {
        part_from_application(open_socket, through, application).await;
    } else if !open_socket.is_over() {
        open_socket.holds().close_socket(open_socket.slot, &open_socket.socket, true);
    }
    open_socket.socket.busy().has_task = false;
    open_socket.socket.settle();
}

/// Sends a detached application its close, and gives it time to close, too.
async fn part_from_application(open_socket: &OpenSocket, through: &Through, application: &Upgraded) {
    let closing = async {
        if application.write(&open_socket.take_outgoing(through)).await.is_ok() {
            while application.read(|bytes| !bytes.is_empty()).await.is_ok_and(|more| more) {}
        }
    };
    closing.or(patience()).await;
}

/// Carries frames to the client. Returns when the application is gone, has detached, or has closed after its client
/// has.
async fn to_client(open_socket: &OpenSocket, through: &Through, application: &Upgraded, mut relay: Relay) {
    let mut rest = Bytes::new();
    loop {
        let is_between = relay.is_between_messages();
        open_socket.taken().await;
        if open_socket.is_over() {
            // The client's last bytes are still on their way to the application.
            pending::<()>().await;
        }
        let mut out = BytesMut::new();
        let control = match rest.is_empty() {
            true => read(open_socket, application, &mut relay, &mut out, &mut rest).await,
            false => {
                let mut input = &rest[..];
                let control = open_socket.pass(&mut relay, &mut input, &mut out);
                rest = rest.slice_ref(input);
                Ok(control)
            }
        };
        let Ok(control) = control else { return };
        if is_between && matches!(open_socket.socket.closing.get(), Closing::ByServer | Closing::ByDrain) {
            break;
        }
        open_socket.relayed(out.freeze(), &relay);
        through.has_closed.set(relay.has_closed() && relay.is_between_frames());
        if through.has_closed.get() && through.client_has_closed() {
            return;
        }
        if let Some(control) = control {
            open_socket.control(&control).await;
            if open_socket.socket.detached.get() {
                return;
            }
        }
    }
    // The client was sent a close. Nothing that the application says can follow it, and the client's answer ends the
    // WebSocket.
    while application.read(|bytes| !bytes.is_empty()).await.is_ok_and(|more| more) {}
    pending::<()>().await;
}

/// Reads from the application, up to the next control message. The bytes behind that message are left in `rest`.
async fn read(
    open_socket: &OpenSocket,
    application: &Upgraded,
    relay: &mut Relay,
    out: &mut BytesMut,
    rest: &mut Bytes,
) -> io::Result<Option<Bytes>> {
    application
        .read(|bytes| {
            let mut input = bytes;
            let control = open_socket.pass(relay, &mut input, out);
            *rest = Bytes::copy_from_slice(input);
            if bytes.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(control) }
        })
        .await?
}

/// Carries frames to the application. Returns when the client is gone, or has closed as its application has, and the
/// application has got all its bytes.
async fn to_application(open_socket: &OpenSocket, through: &Through, application: &Upgraded) {
    let all = async {
        loop {
            let bytes = open_socket.take_outgoing(through);
            match bytes.is_empty() {
                true if open_socket.is_over() => return,
                true if through.has_closed.get() && through.client_has_closed() => return,
                true => through.waiting.rung().await,
                false => {
                    if application.write(&bytes).await.is_err() {
                        // The bytes that the application has sent before may still be read.
                        return pending().await;
                    }
                }
            }
        }
    };
    let gone = async {
        while !open_socket.is_over() {
            through.left.rung().await;
        }
        patience().await;
    };
    all.or(gone).await;
}

/// Waits as long as an application may take when no client waits for it.
async fn patience() {
    patience::pass(PATIENCE).await;
}

impl OpenSocket {
    /// Gives the application's bytes to the relay, up to the next control message.
    fn pass(&self, relay: &mut Relay, input: &mut &[u8], out: &mut BytesMut) -> Option<Bytes> {
        let mut relayed = Relayed::default();
        let control = relay.pass(input, out, &mut relayed);
        if !self.is_over() {
            self.holds().count_relayed(self.slot, &self.socket, relayed);
        }
        control
    }

    /// Sends the bytes that the relay has put out. Published items are sent only between messages.
    fn relayed(&self, out: Bytes, relay: &Relay) {
        if self.is_over() {
            return;
        }
        let sent = {
            let clients = &self.holds().clients;
            let sent = clients.send_now(self.slot, out);
            match relay.is_between_messages() {
                true => sent.and_then(|()| clients.uncork(self.slot)),
                false => sent.map(|()| clients.cork(self.slot)),
            }
        };
        if relay.has_closed() {
            // Nothing may follow a close.
            self.holds().delivery.unsubscribe(self.slot);
        }
        self.sent(sent.is_ok());
    }

    /// Takes the client's bytes for the application.
    fn take_outgoing(&self, through: &Through) -> BytesMut {
        let (bytes, was_paused) = {
            let mut outgoing = through.outgoing.borrow_mut();
            (std::mem::take(&mut outgoing.bytes), std::mem::take(&mut outgoing.paused))
        };
        through.book(bytes.capacity());
        if was_paused && !self.is_over() {
            self.holds().clients.resume(self.slot);
            self.holds().context.wake();
        }
        bytes
    }
}
