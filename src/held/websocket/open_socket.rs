//! A WebSocket and its slot, for the time of a task, and what an application can say from within it.

use super::socket::{Application, Socket};
use crate::clients::InKernel;
use crate::held::Holds;
use crate::ids::Slot;
use crate::proto::grip::{ControlMessage, FILTERS_MAX, WebSocketEvent};
use crate::proto::websocket::{Close, close_frame};
use crate::runtime;
use bytes::Bytes;
use std::rc::Rc;
use std::time::Duration;

/// How long after the head of a WebSocket the first frame follows, where requests may name their route. Of 20 first
/// frames Viceroy lost 17 without it, and none with 1 ms.
const AFTER_HEAD: Duration = Duration::from_millis(5);

/// A WebSocket and where it is.
#[derive(Clone)]
pub(super) struct OpenSocket {
    pub slot: Slot,
    pub socket: Rc<Socket>,
}

impl OpenSocket {
    /// The holds of its core.
    pub fn holds(&self) -> &Rc<Holds> {
        self.socket.holds()
    }

    /// Does what a control message says.
    pub async fn control(&self, control: &[u8]) {
        let Some(control) = ControlMessage::parse(control) else { return };
        match control {
            ControlMessage::Subscribe { filters, .. } if filters.len() > FILTERS_MAX => self.fail(),
            ControlMessage::Subscribe { channel, filters } => {
                let name = self.name(&channel);
                let channels = self.holds().delivery.channels_of(self.slot);
                let has_room = channels.len() < self.holds().delivery.subscription_limit();
                match has_room || channels.iter().any(|known| **known == *name) {
                    true => self.join_with(&name, &filters).await,
                    false => self
                        .holds()
                        .delivery
                        .refuse_subscriptions(self.socket.route(), [name.as_str()].into_iter()),
                }
            }
            ControlMessage::Unsubscribe { channel } => self.leave(&self.name(&channel)),
            ControlMessage::Detach => self.socket.detach(),
            // It is for filters; what comes back as Meta-* is set by headers.
            ControlMessage::SetMeta { name, value } => {
                if !self.is_over()
                    && !self.holds().filters.set_socket_meta(self.slot, || self.socket.origin(), &name, value)
                {
                    self.fail();
                }
            }
            ControlMessage::KeepAlive(setting) => {
                self.socket.rare().clock.keep_alive(self.holds().context.now(), setting);
            }
            ControlMessage::SendDelayed(message) => {
                let before = self.socket.rare().clock.delay(self.holds().context.now(), &message);
                self.send(before.unwrap_or_default()).await;
            }
            ControlMessage::FlushDelayed => {
                let delayed = self.socket.rare().clock.flush();
                self.send(delayed.unwrap_or_default()).await;
            }
        }
        self.holds().wind(self.slot, &self.socket);
    }

    /// A channel as publishers know it.
    fn name(&self, channel: &str) -> String {
        format!("{}{channel}", self.socket.route().prefix.as_deref().unwrap_or_default())
    }

    /// Joins a channel and waits until it is in force: what follows for the client may rely on it.
    pub async fn join(&self, channel: &str) {
        self.join_with(channel, &[]).await;
    }

    /// The same with filters. A channel that it is in already has these from now on.
    async fn join_with(&self, channel: &str, filters: &[String]) {
        let mut asks = Vec::new();
        if self.is_over() {
            return;
        }
        if self.holds().context.settings().log.requests {
            let connection = self.socket.connection_id().map(tracing::field::display);
            tracing::info!(connection, channel, "subscribed");
        }
        let transport = self.socket.transport();
        let _ = self.holds().delivery.join(self.slot, transport, channel, &mut asks);
        self.holds().filters.set_socket_filters(self.slot, || self.socket.origin(), channel, filters);
        self.holds().publishing.send_home_all(asks);
        while !self.is_over() && self.holds().delivery.is_joining(self.slot) {
            self.changed().await;
        }
    }

    /// Leaves a channel, unless the route says that all are in it.
    fn leave(&self, channel: &str) {
        let mut targets = self.socket.route().targets.iter();
        if !targets.any(|target| target.subscriptions.iter().any(|implied| implied == channel)) {
            self.holds().delivery.leave(self.slot, channel);
            self.holds().filters.drop_socket_filters(self.slot, channel);
        }
    }

    /// Sends a frame once the client has taken everything before it.
    pub async fn send(&self, frame: Bytes) {
        self.taken().await;
        if self.is_over() || frame.is_empty() {
            return;
        }
        let sent = self.holds().clients.send(self.slot, frame);
        self.sent(sent.is_ok());
    }

    /// Lets the head of the WebSocket go by itself, where requests may name their route: Viceroy 0.22, by which
    /// Fastly's customers try their programs out, names one and drops what it reads together with the head.
    pub async fn head_has_gone(&self) {
        if self.holds().context.settings().proxy.accept_pushpin_route {
            runtime::sleep(AFTER_HEAD).await;
        }
    }

    /// Waits until the client has taken everything, or is gone.
    pub async fn taken(&self) {
        while !self.is_over() && self.holds().clients.is_backlogged(self.slot) {
            self.changed().await;
        }
    }

    /// Something was sent to the client, if there was room for it.
    pub fn sent(&self, had_room: bool) {
        if let Some(rare) = &mut *self.socket.rare.borrow_mut() {
            rare.clock.sent(self.holds().context.now());
        }
        self.holds().context.wake();
        if !had_room {
            self.holds().clients.reset_overflowed(self.slot);
        }
    }

    /// Waits until the WebSocket is woken.
    pub async fn changed(&self) {
        let changed = self.socket.busy().changed.clone();
        changed.rung().await;
    }

    /// What the application wants cannot be done.
    pub fn fail(&self) {
        if !self.is_over() {
            let frame = close_frame(Some(&Close::with(Close::INTERNAL_ERROR)));
            let _ = self.holds().clients.send(self.slot, frame);
            self.holds().close_socket(self.slot, &self.socket, true);
        }
    }

    /// Ends the connection without a close.
    pub fn reset(&self) {
        if !self.is_over() {
            self.holds().clients.reset(self.slot, InKernel::Delivered);
        }
    }

    /// Whether the client is gone.
    pub fn is_over(&self) -> bool {
        self.socket.gone.get()
    }
}

impl Socket {
    /// The application takes no more part; the client stays.
    fn detach(&self) {
        // For the application that is the end.
        match &self.application {
            Application::OverHttp(_) => self.tell(WebSocketEvent::Close(None)),
            Application::Through(through) => through.close(),
            // No application says anything there.
            Application::SockJs(_) => {}
        }
        self.detached.set(true);
    }
}
