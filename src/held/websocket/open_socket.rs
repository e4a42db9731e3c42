//! A WebSocket together with its slot, for the time of a task, and the actions that an application can ask for.

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

/// The delay between the head of a WebSocket and its first frame, where requests may name their route. Without it
/// Viceroy lost 17 of 20 first frames, with 1 ms none.
const AFTER_HEAD: Duration = Duration::from_millis(5);

/// A WebSocket and its slot.
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

    /// Carries out a control message.
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
            // These variables are for filters. The variables that requests repeat as Meta-* are set by headers.
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

    /// The name of a channel that publishers use.
    fn name(&self, channel: &str) -> String {
        format!("{}{channel}", self.socket.route().prefix.as_deref().unwrap_or_default())
    }

    /// Joins a channel and waits until it is in force. So the application can rely on the channel in what it says next.
    pub async fn join(&self, channel: &str) {
        self.join_with(channel, &[]).await;
    }

    /// Joins a channel with filters, and waits until it is in force. If the WebSocket has joined the channel before,
    /// its filters are replaced.
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

    /// Leaves a channel, unless the route subscribes all its clients to it.
    fn leave(&self, channel: &str) {
        let mut targets = self.socket.route().targets.iter();
        if !targets.any(|target| target.subscriptions.iter().any(|implied| implied == channel)) {
            self.holds().delivery.leave(self.slot, channel);
            self.holds().filters.drop_socket_filters(self.slot, channel);
        }
    }

    /// Sends a frame once the client has taken all frames before it.
    pub async fn send(&self, frame: Bytes) {
        self.taken().await;
        if self.is_over() || frame.is_empty() {
            return;
        }
        let sent = self.holds().clients.send(self.slot, frame);
        self.sent(sent.is_ok());
    }

    /// Waits until the head of the WebSocket has been sent by itself, where requests may name their route. Viceroy
    /// 0.22, with which Fastly's customers try out their programs, names a route and drops frames that it reads
    /// together with the head.
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

    /// Notes that the client was sent something. If there was no room for it, resets the connection.
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

    /// Closes the WebSocket with an error, because the application asked for something that cannot be done.
    pub fn fail(&self) {
        if !self.is_over() {
            let frame = close_frame(Some(&Close::with(Close::INTERNAL_ERROR)));
            let _ = self.holds().clients.send(self.slot, frame);
            self.holds().close_socket(self.slot, &self.socket, true);
        }
    }

    /// Resets the connection, without a close.
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
    /// Detaches the application: it takes no more part, and the client stays.
    fn detach(&self) {
        // To the application this looks like the end of the WebSocket.
        match &self.application {
            Application::OverHttp(_) => self.tell(WebSocketEvent::Close(None)),
            Application::Through(through) => through.close(None),
            // No application talks on this side of a conversation.
            Application::SockJs(_) => {}
        }
        self.detached.set(true);
    }
}
