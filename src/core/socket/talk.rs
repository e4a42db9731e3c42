//! Talking to the application: events go out in one request after the other, and what it answers is done in order.

use super::{Closing, Socket};
use crate::core::{Core, proxy};
use crate::ids::Slot;
use crate::origin::{OriginError, Request, RequestBody, Response};
use crate::proto::grip::{ControlMessage, WEBSOCKET_EVENTS, WebSocketEvent};
use crate::proto::websocket::{Opcode, close_frame, frame};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use std::rc::Rc;
use std::time::Duration;

/// The largest answer.
const ANSWER_BYTES: usize = 1_000_000;
/// The shortest Keep-Alive-Interval, s.
const INTERVAL_S: u64 = 20;
/// How often a request is made again when the application cannot be reached; after 1 s, 2 s, 4 s and so on.
const RETRIES: u32 = 5;

/// What the application answered.
#[derive(Default)]
pub(super) struct Answered {
    pub events: Vec<WebSocketEvent>,
    pub interval_s: Option<u64>,
    /// Variables to set; an empty value deletes one.
    pub meta: Vec<(String, String)>,
}

/// The request that asks for the WebSocket.
pub(super) fn first_request(core: &Core, socket: &Socket) -> Request {
    let mut body = BytesMut::new();
    WebSocketEvent::Open.encode(&mut body);
    request(core, socket, body.freeze())
}

fn request(core: &Core, socket: &Socket, body: Bytes) -> Request {
    let body = if body.is_empty() { RequestBody::Empty } else { RequestBody::Whole(body) };
    let mut request = proxy::origin_request(core, &socket.handshake.request(), &socket.route, body);
    request.method = Method::POST;
    let headers = &mut request.headers;
    headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static("grip"));
    headers.insert(header::ACCEPT, HeaderValue::from_static(WEBSOCKET_EVENTS));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(WEBSOCKET_EVENTS));
    headers.insert(CONNECTION_ID, socket.id.clone());
    for (name, value) in socket.meta.borrow().iter() {
        let name = HeaderName::try_from(format!("meta-{name}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    request
}

/// Reads an answer; the error says what is wrong with it.
pub(super) async fn answered(response: Response) -> Result<Answered, String> {
    let Response { headers, mut body, .. } = response;
    let mut whole = BytesMut::new();
    while let Some(part) = body.next().await {
        whole.extend_from_slice(&part.map_err(|error| error.to_string())?);
        if whole.len() > ANSWER_BYTES {
            return Err(format!("an answer of more than {ANSWER_BYTES} bytes"));
        }
    }
    let events = WebSocketEvent::decode_all(whole.freeze()).map_err(|error| error.to_string())?;
    Ok(Answered { events, interval_s: interval_s(&headers), meta: meta(&headers) })
}

fn interval_s(headers: &HeaderMap) -> Option<u64> {
    let seconds: u64 = headers.get("keep-alive-interval")?.to_str().ok()?.trim().parse().ok()?;
    (seconds > 0).then(|| seconds.max(INTERVAL_S))
}

fn meta(headers: &HeaderMap) -> Vec<(String, String)> {
    let set = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix("set-meta-")?;
        Some((name.to_owned(), value.to_str().ok()?.to_owned()))
    });
    set.collect()
}

impl Core {
    /// Brings what waits to the application, unless a request is on its way already.
    pub(super) fn talk(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>) {
        if !socket.waiting.borrow().events.is_empty() {
            self.spawn_talk(slot, socket, |_| async {});
        }
    }

    /// Asks the application whether it has anything.
    pub(super) fn ask_socket(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>) {
        if socket.talking.get() {
            return socket.ask_again.set(true);
        }
        self.spawn_talk(slot, socket, move |talk| async move { talk.exchange(Vec::new()).await });
    }

    /// Does what the answer to OPEN said, on a WebSocket that is open now.
    pub(super) fn talk_on(
        self: &Rc<Self>,
        slot: Slot,
        socket: &Rc<Socket>,
        implied: Vec<String>,
        events: Vec<WebSocketEvent>,
    ) {
        self.spawn_talk(slot, socket, move |talk| async move {
            for channel in implied {
                talk.join(&channel).await;
            }
            talk.obey(events).await;
        });
    }

    /// Starts the one task of a WebSocket: `first`, and then all that waits.
    fn spawn_talk<F: Future<Output = ()>>(
        self: &Rc<Self>,
        slot: Slot,
        socket: &Rc<Socket>,
        first: impl FnOnce(Rc<Talk>) -> F + 'static,
    ) {
        if socket.talking.replace(true) {
            return;
        }
        let talk = Rc::new(Talk { core: self.clone(), slot, socket: socket.clone() });
        glommio::spawn_local(async move {
            first(talk.clone()).await;
            loop {
                let events = talk.take_waiting();
                let is_asked = talk.socket.ask_again.replace(false) && !talk.is_over();
                if events.is_empty() && !is_asked {
                    break;
                }
                talk.exchange(events).await;
            }
            talk.socket.talking.set(false);
            talk.rest();
        })
        .detach();
    }
}

/// A WebSocket and its place, for the time of a task.
struct Talk {
    core: Rc<Core>,
    slot: Slot,
    socket: Rc<Socket>,
}

impl Talk {
    fn take_waiting(&self) -> Vec<WebSocketEvent> {
        let mut waiting = self.socket.waiting.borrow_mut();
        waiting.bytes = 0;
        if std::mem::replace(&mut waiting.paused, false) && !self.socket.gone.get() {
            self.core.wire.borrow_mut().resume(self.slot);
            self.core.wake();
        }
        std::mem::take(&mut waiting.events)
    }

    /// Sends `events` and does what the answer says.
    async fn exchange(&self, events: Vec<WebSocketEvent>) {
        let mut body = BytesMut::new();
        events.iter().for_each(|event| event.encode(&mut body));
        let outcome = match self.request(body.freeze()).await {
            Ok(response) if response.status == 200 => answered(response).await,
            Ok(response) => Err(format!("it answered with status {}", response.status)),
            Err(error) => Err(error.to_string()),
        };
        match outcome {
            Ok(Answered { events, interval_s, meta }) => {
                self.socket.interval_s.set(interval_s);
                self.socket.set_meta(meta);
                self.obey(events).await;
            }
            Err(reason) if self.is_over() => tracing::debug!(reason, "the end of a WebSocket was not taken"),
            Err(reason) => {
                tracing::warn!(
                    route = self.socket.route.id,
                    reason,
                    "a WebSocket is cut: its application failed"
                );
                self.cut();
            }
        }
        self.settle_close();
    }

    /// Asks again when the application cannot be reached: nothing was sent then.
    async fn request(&self, body: Bytes) -> Result<Response, OriginError> {
        let mut tries = 0;
        loop {
            let request = request(&self.core, &self.socket, body.clone());
            match self.core.pool.request(&self.socket.route, request).await {
                Err(OriginError::Unreachable { .. }) if tries < RETRIES => {
                    glommio::timer::sleep(Duration::from_secs(1 << tries)).await;
                    tries += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// Does what the events of an answer say, in order.
    async fn obey(&self, events: Vec<WebSocketEvent>) {
        for event in events {
            if self.is_over() || self.socket.detached.get() {
                return;
            }
            match event {
                WebSocketEvent::Text(content) => self.message(Opcode::Text, content).await,
                WebSocketEvent::Binary(content) => self.message(Opcode::Binary, content).await,
                WebSocketEvent::Ping(content) => self.send(frame(Opcode::Ping, &content)).await,
                WebSocketEvent::Pong(content) => self.send(frame(Opcode::Pong, &content)).await,
                WebSocketEvent::Close(close) => {
                    self.send(close_frame(close.as_ref())).await;
                    match self.socket.closing.get() {
                        Closing::ByClient => return self.core.finish_socket(self.slot, &self.socket),
                        _ => self.core.socket_was_closed(self.slot, &self.socket),
                    }
                }
                WebSocketEvent::Open | WebSocketEvent::Disconnect => return self.cut(),
            }
        }
    }

    /// A message of the application: for the client, or for this server.
    async fn message(&self, opcode: Opcode, content: Bytes) {
        let Some(prefix) = &self.socket.prefix else { return self.send(frame(opcode, &content)).await };
        if opcode == Opcode::Text
            && let Some(control) = content.strip_prefix(b"c:")
        {
            if let Some(control) = ControlMessage::parse(control) {
                self.control(control).await;
            }
            return;
        }
        if let Some(content) = content.strip_prefix(prefix.as_bytes()) {
            self.send(frame(opcode, content)).await;
        }
    }

    async fn control(&self, control: ControlMessage) {
        let name =
            |channel: &str| format!("{}{channel}", self.socket.route.prefix.as_deref().unwrap_or_default());
        match control {
            ControlMessage::Subscribe { channel, .. } => {
                let limit = self.core.settings.limits.subscriptions_per_connection;
                if self.core.subscriptions.borrow().channels_of(self.slot).len() < limit {
                    self.join(&name(&channel)).await;
                }
            }
            ControlMessage::Unsubscribe { channel } => {
                self.core.subscriptions.borrow_mut().leave(self.slot, &name(&channel));
            }
            ControlMessage::Detach => {
                // For the application that is the end.
                self.socket.tell(WebSocketEvent::Close(None));
                self.socket.detached.set(true);
            }
            // It is for filters, which are not served yet; what comes back as Meta-* is set by headers.
            ControlMessage::SetMeta { .. } => {}
            ControlMessage::KeepAlive(setting) => {
                self.socket.clock.borrow_mut().keep_alive(self.core.now(), setting);
            }
            ControlMessage::SendDelayed(message) => {
                let before = self.socket.clock.borrow_mut().delay(self.core.now(), &message);
                if let Some(frame) = before {
                    self.send(frame).await;
                }
            }
            ControlMessage::FlushDelayed => {
                let delayed = self.socket.clock.borrow_mut().flush();
                if let Some(frame) = delayed {
                    self.send(frame).await;
                }
            }
        }
        self.core.wind(self.slot, &self.socket);
    }

    /// Joins a channel and waits until it is in force: what follows for the client may rely on it.
    async fn join(&self, channel: &str) {
        let mut asks = Vec::new();
        if self.is_over() {
            return;
        }
        let mut out = |home, message| asks.push((home, message));
        let _ = self.core.subscriptions.borrow_mut().join(self.slot, channel, &mut out);
        asks.into_iter().for_each(|(home, message)| self.core.send_home(home, message));
        while !self.is_over() && self.core.subscriptions.borrow().is_joining(self.slot) {
            self.socket.changed.rung().await;
        }
    }

    /// Sends a frame once the client has taken everything before it.
    async fn send(&self, frame: Bytes) {
        while !self.is_over() && self.core.wire.borrow().is_backlogged(self.slot) {
            self.socket.changed.rung().await;
        }
        if self.is_over() {
            return;
        }
        let sent = self.core.wire.borrow_mut().send(self.slot, frame);
        self.socket.clock.borrow_mut().sent(self.core.now());
        self.core.wake();
        if sent.is_err() {
            self.core.cut_off(self.slot);
        }
    }

    /// A client that has closed is owed an answer by this request; without one its connection just ends.
    fn settle_close(&self) {
        let done = match self.socket.closing.get() {
            Closing::ByClient => self.socket.interval_s.get().is_none(),
            Closing::Done => true,
            Closing::No | Closing::ByServer => false,
        };
        if done && !self.is_over() && self.socket.waiting.borrow().events.is_empty() {
            match self.socket.closing.get() {
                Closing::Done => self.core.finish_socket(self.slot, &self.socket),
                _ => self.cut(),
            }
        }
    }

    /// The task is over: the clock goes on.
    fn rest(&self) {
        if self.is_over() || self.socket.closing.get() != Closing::No {
            return;
        }
        let interval_ms = self.socket.interval_s.get().map(|interval_s| interval_s.saturating_mul(1000));
        self.socket.clock.borrow_mut().ask_in(self.core.now(), interval_ms);
        self.core.wind(self.slot, &self.socket);
    }

    fn cut(&self) {
        if !self.is_over() {
            self.core.close(self.slot);
        }
    }

    fn is_over(&self) -> bool {
        self.socket.gone.get()
    }
}

impl Socket {
    /// Sets variables; an empty value deletes one.
    pub(super) fn set_meta(&self, set: Vec<(String, String)>) {
        let mut meta = self.meta.borrow_mut();
        for (name, value) in set {
            match value.is_empty() {
                true => drop(meta.remove(&name)),
                false => drop(meta.insert(name, value)),
            }
        }
    }
}

const CONNECTION_ID: HeaderName = HeaderName::from_static("connection-id");
