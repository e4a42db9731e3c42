//! The task of a WebSocket that passes through, from its opening until one side is gone.

use super::Through;
use crate::held::Holds;
use crate::held::websocket::open_socket::OpenSocket;
use crate::held::websocket::socket::{Application, Closing, Socket};
use crate::ids::Slot;
use crate::origin::Upgraded;
use crate::patience;
use crate::proto::websocket::{Relay, Relayed};
use crate::runtime;
use bytes::{Bytes, BytesMut};
use futures_lite::FutureExt;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// How long an application may take to read the client's last bytes, or to close, after its client is gone or it has
/// detached.
const PATIENCE: Duration = Duration::from_secs(10);

impl Holds {
    /// Starts the task of the WebSocket of `open_socket`, which joins `channels` first.
    pub(in crate::held::websocket) fn start_relay(
        &self,
        open_socket: OpenSocket,
        head_is_new: bool,
        channels: Vec<String>,
    ) {
        let Application::Through(through) = &open_socket.socket.application else { return };
        if through.application.borrow().is_none() {
            return;
        }
        open_socket.socket.busy().has_task = true;
        through.acts.set(!channels.is_empty());
        let unfinished = self.unfinished.begin();
        let task = {
            let open_socket = open_socket.clone();
            runtime::spawn(async move {
                let _unfinished = unfinished;
                open_socket.holds().context.gate.settled().await;
                if head_is_new {
                    open_socket.head_has_gone().await;
                }
                relay(&open_socket, &channels).await;
            })
        };
        *through.task.borrow_mut() = Some(task);
    }
}

impl Holds {
    /// Starts the task of a WebSocket that passes through, if it was stopped.
    pub(in crate::held::websocket) fn relay_again(&self, slot: Slot, socket: &Rc<Socket>) {
        let is_stopped = match &socket.application {
            Application::Through(through) => through.task.borrow().is_none(),
            Application::OverHttp(_) | Application::SockJs(_) => false,
        };
        if is_stopped && socket.busy().has_task {
            self.start_relay(OpenSocket { slot, socket: socket.clone() }, false, Vec::new());
        }
    }
}

/// Carries frames between the client of `open_socket` and its application until one of them is gone.
async fn relay(open_socket: &OpenSocket, channels: &[String]) {
    let Application::Through(through) = &open_socket.socket.application else { return };
    for channel in channels {
        open_socket.join(channel).await;
    }
    through.acts.set(false);
    let application = through.application.borrow().clone();
    let Some(application) = application else { return };
    let down = to_client(open_socket, through, &application);
    down.or(to_application(open_socket, through, &application)).await;
    if open_socket.socket.detached.get() {
        part_from_application(open_socket, through, &application).await;
    } else if !open_socket.is_over() {
        open_socket.holds().close_socket(open_socket.slot, &open_socket.socket, true);
    }
    // The client may stay without its application.
    drop(through.application.take());
    open_socket.socket.busy().has_task = false;
    open_socket.socket.settle();
}

/// Sends a detached application its close, and gives it time to close, too.
async fn part_from_application(open_socket: &OpenSocket, through: &Through, application: &Upgraded) {
    let closing = async {
        open_socket.take_outgoing(through);
        if application.write(&through.sending).await.is_ok() {
            while application.read(|bytes| !bytes.is_empty()).await.is_ok_and(|more| more) {}
        }
    };
    closing.or(patience()).await;
}

/// Carries frames to the client. Returns when the application is gone, has detached, or has closed after its client
/// has.
async fn to_client(open_socket: &OpenSocket, through: &Through, application: &Upgraded) {
    loop {
        let is_between = through.relay.borrow().is_between_messages();
        open_socket.taken().await;
        if open_socket.is_over() {
            // The client's last bytes are still on their way to the application.
            pending::<()>().await;
        }
        let mut out = BytesMut::new();
        let has_rest = !through.rest.borrow().is_empty();
        let control = match has_rest {
            true => Ok(open_socket.pass_rest(through, &mut out)),
            false => read(open_socket, through, application, &mut out).await,
        };
        let Ok(control) = control else { return };
        if is_between && matches!(open_socket.socket.closing.get(), Closing::ByServer | Closing::ByDrain) {
            break;
        }
        open_socket.relayed(out.freeze(), through);
        through.note_close();
        if through.has_closed.get() && through.client_has_closed() {
            return;
        }
        if let Some(control) = control {
            through.acts.set(true);
            open_socket.control(&control).await;
            through.acts.set(false);
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
    through: &Through,
    application: &Upgraded,
    out: &mut BytesMut,
) -> io::Result<Option<Bytes>> {
    application
        .read(|bytes| {
            let mut input = bytes;
            let control = open_socket.pass(&mut through.relay.borrow_mut(), &mut input, out);
            *through.rest.borrow_mut() = Bytes::copy_from_slice(input);
            if bytes.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(control) }
        })
        .await?
}

/// Carries frames to the application. Returns when the client is gone, or has closed as its application has, and the
/// application has got all its bytes.
async fn to_application(open_socket: &OpenSocket, through: &Through, application: &Upgraded) {
    let all = async {
        loop {
            open_socket.take_outgoing(through);
            let is_sent = through.sending.borrow().is_empty();
            match is_sent {
                true if open_socket.is_over() => return,
                true if through.has_closed.get() && through.client_has_closed() => return,
                true => {}
                false => {
                    if application.write(&through.sending).await.is_err() {
                        // The bytes that the application has sent before may still be read.
                        return pending().await;
                    }
                    continue;
                }
            }
            through.waiting.rung().await;
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
    fn relayed(&self, out: Bytes, through: &Through) {
        if self.is_over() {
            return;
        }
        let (is_between, has_closed) = {
            let relay = through.relay.borrow();
            (relay.is_between_messages(), relay.has_closed())
        };
        let sent = {
            let clients = &self.holds().clients;
            let sent = clients.send_now(self.slot, out);
            match is_between {
                true => sent.and_then(|()| clients.uncork(self.slot)),
                false => sent.map(|()| clients.cork(self.slot)),
            }
        };
        if has_closed {
            // Nothing may follow a close.
            self.holds().delivery.unsubscribe(self.slot);
        }
        self.sent(sent.is_ok());
    }

    /// Gives the bytes behind the last control message to the relay, up to the next one.
    fn pass_rest(&self, through: &Through, out: &mut BytesMut) -> Option<Bytes> {
        let rest = through.rest.take();
        let mut input = &rest[..];
        let control = self.pass(&mut through.relay.borrow_mut(), &mut input, out);
        *through.rest.borrow_mut() = rest.slice_ref(input);
        control
    }

    /// Takes the client's bytes for the application, unless the bytes before them are not sent yet.
    fn take_outgoing(&self, through: &Through) {
        let was_paused = through.move_outgoing();
        if was_paused && !self.is_over() {
            self.holds().clients.resume(self.slot);
            self.holds().context.wake();
        }
    }
}
