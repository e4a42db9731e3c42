//! Talks to the application: sends events in one request after the other, and carries out the answers in order.

use super::answer::{Answered, answered};
use super::event_batch::{EventBatch, RESUME_BYTES};
use super::open::STANDARD_PREFIX;
use super::state::OverHttp;
use crate::context::Pass;
use crate::held::Holds;
use crate::held::websocket::open_socket::OpenSocket;
use crate::held::websocket::socket::{Closing, Socket};
use crate::ids::Slot;
use crate::origin::{OriginError, Request, RequestBody, Response, Route};
use crate::proto::grip::{WEBSOCKET_EVENTS, WebSocketEvent};
use crate::proto::websocket::{Opcode, Relayed, Seen, close_frame, frame};
use crate::requests::{Requests, Scheme};
use crate::runtime;
use bytes::Bytes;
use futures_lite::FutureExt;
use http::{HeaderName, HeaderValue, Method, header};
use std::collections::BTreeMap;
use std::mem;
use std::rc::Rc;
use std::time::Duration;

/// How long an application may take to answer after its client is gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many times a request is made again if the application cannot be reached: after 1 s, 2 s, 4 s and so on.
const RETRIES: u32 = 5;

impl OverHttp {
    /// A request of this WebSocket.
    pub(super) fn request(
        &self,
        requests: &Requests,
        route: &Route,
        meta: Option<&BTreeMap<String, String>>,
        offer: &EventBatch,
    ) -> Request {
        let body = offer.body();
        let body = if body.is_empty() { RequestBody::Empty } else { RequestBody::Whole(body) };
        let mut request = requests.origin_request(&self.handshake.request(), route, body, Scheme::WebSocket);
        request.method = Method::POST;
        let headers = &mut request.headers;
        headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static("grip"));
        headers.insert(header::ACCEPT, HeaderValue::from_static(WEBSOCKET_EVENTS));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(WEBSOCKET_EVENTS));
        if let Ok(id) = HeaderValue::try_from(self.id.to_string()) {
            headers.insert(CONNECTION_ID, id);
        }
        if offer.replayed_bytes > 0 {
            headers.insert(CONTENT_BYTES_REPLAYED, offer.replayed_bytes.into());
        }
        for (name, value) in meta.into_iter().flatten() {
            let name = HeaderName::try_from(format!("meta-{name}"));
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        }
        request
    }
}

impl Holds {
    /// Sends the waiting events to the application, unless a request is under way.
    pub(in crate::held::websocket) fn talk(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>) {
        let waits = socket.busy.borrow().as_ref().is_some_and(|busy| busy.waiting.wants_out());
        if waits {
            spawn_talk(OpenSocket { slot, socket: socket.clone() }, async |_| {});
        }
    }

    /// Goes on where another process has stopped, once clients are served here. A task without events sets the clock by
    /// which the application is asked.
    pub(in crate::held::websocket) fn talk_again(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>) {
        let is_under_way = socket.busy.borrow().is_some();
        if is_under_way {
            spawn_talk(OpenSocket { slot, socket: socket.clone() }, async |_| {});
        }
    }

    /// Asks the application whether it has events.
    pub(in crate::held::websocket) fn ask_socket(self: &Rc<Self>, slot: Slot, socket: &Rc<Socket>) {
        socket.busy().ask_again = true;
        spawn_talk(OpenSocket { slot, socket: socket.clone() }, async |_| {});
    }

    /// Carries out the answer to OPEN, on a WebSocket that is open now.
    pub(super) fn talk_on(
        &self,
        open_socket: OpenSocket,
        implied: Vec<String>,
        Answered { events, interval_s, meta, .. }: Answered,
    ) {
        open_socket.socket.set_interval(interval_s);
        spawn_talk(open_socket, async move |talk| {
            talk.open_socket.head_has_gone().await;
            talk.set_meta(meta);
            for channel in &implied {
                talk.open_socket.join(channel).await;
            }
            talk.obey(events).await;
        });
    }
}

/// Starts the WebSocket's task, unless it is running: `first`, and then requests until no events wait.
fn spawn_talk(open_socket: OpenSocket, first: impl AsyncFnOnce(&Talk) + 'static) {
    if mem::replace(&mut open_socket.socket.busy().has_task, true) {
        return;
    }
    let task = open_socket.holds().unfinished.begin();
    let talk = Talk { open_socket };
    runtime::spawn(async move {
        let _task = task;
        let gate = &talk.open_socket.holds().context.gate;
        talk.act(gate.enter(), first(&talk)).await;
        loop {
            let pass = gate.pass().await;
            let Some(offer) = talk.next_offer() else { break };
            talk.act(pass, talk.exchange(offer)).await;
            // A built-in application answers without a wait, so other tasks get their turn here.
            runtime::yield_now().await;
        }
        talk.rest();
    })
    .detach();
}

/// The task in which a WebSocket talks to its application.
struct Talk {
    open_socket: OpenSocket,
}

impl Talk {
    /// Does `work`, which the client's hand-over to another process waits for.
    async fn act(&self, _pass: Pass, work: impl Future<Output = ()>) {
        let socket = &self.open_socket.socket;
        socket.busy().acts = true;
        work.await;
        socket.busy().acts = false;
    }

    /// The next batch of events, if a request is due.
    fn next_offer(&self) -> Option<EventBatch> {
        let socket = &self.open_socket.socket;
        let offer = {
            let mut busy = socket.busy();
            let asks_again = mem::take(&mut busy.ask_again) && !self.open_socket.is_over();
            let is_due = busy.waiting.wants_out() || asks_again;
            is_due.then(|| busy.waiting.offer(socket.events_at_a_time()))
        };
        self.open_socket.holds().count_kept(self.open_socket.slot, socket);
        self.read_on();
        offer
    }

    /// If the client is paused and there is room, decodes the bytes that it has sent, and then resumes reading it.
    fn read_on(&self) {
        let OpenSocket { slot, socket } = &self.open_socket;
        let holds = socket.holds();
        let resumes = {
            let mut busy = socket.busy();
            let has_room = busy.waiting.bytes() < RESUME_BYTES && !self.open_socket.is_over();
            has_room && mem::take(&mut busy.paused)
        };
        if !resumes {
            return;
        }
        holds.socket_received(*slot, socket, &[]);
        let is_paused = socket.busy.borrow().as_ref().is_some_and(|busy| busy.paused);
        if !is_paused && !self.open_socket.is_over() {
            holds.clients.resume(*slot);
            holds.context.wake();
        }
    }

    /// Sends the batch `offer`, and carries out the answer.
    async fn exchange(&self, offer: EventBatch) {
        let socket = &self.open_socket.socket;
        let outcome = match self.request(&offer).await {
            Ok(response) if response.status == 200 => {
                let settings = self.open_socket.holds().context.settings();
                answered(response, settings.websocket.message_bytes).await
            }
            Ok(response) => Err(format!("the application answered with status {}", response.status)),
            Err(error) => Err(error.to_string()),
        };
        let outcome = outcome.and_then(|answered| {
            let left = offer.accept(answered.accepted_bytes)?;
            socket.busy().waiting.take_back(left);
            Ok(answered)
        });
        match outcome {
            Ok(Answered { events, interval_s, meta, .. }) => {
                socket.set_interval(interval_s);
                self.set_meta(meta);
                self.obey(events).await;
            }
            Err(reason) if self.open_socket.is_over() => {
                tracing::debug!(reason, "the application did not take the end of a WebSocket");
            }
            Err(reason) => {
                tracing::warn!(
                    route = socket.route().id,
                    reason,
                    "a WebSocket was reset: its application failed"
                );
                self.open_socket.reset();
            }
        }
        self.settle_close();
    }

    /// Sets variables; an empty value deletes one.
    fn set_meta(&self, set: Vec<(String, String)>) {
        if set.is_empty() {
            return;
        }
        let OpenSocket { slot, socket } = &self.open_socket;
        let owner = socket.holds().owner_of(*slot, socket);
        // Variables are kept for long, so they are booked for the client's own address at once.
        owner.is_at(socket.holds().network_of(socket));
        let mut rare = socket.rare();
        let fits = rare.variables.get_or_insert_default().set(set, owner);
        rare.variables.take_if(|variables| variables.is_empty());
        drop(rare);
        if !fits {
            self.open_socket.fail();
        }
    }

    /// Makes a request. Makes it again if the application cannot be reached or the request waited too long for its
    /// turn: in both cases nothing was sent.
    async fn request(&self, offer: &EventBatch) -> Result<Response, OriginError> {
        let socket = &self.open_socket.socket;
        let holds = socket.holds();
        let Some(over_http) = socket.over_http() else { return Err(OriginError::Unavailable) };
        let mut tries = 0;
        loop {
            let request = {
                let rare = socket.rare.borrow();
                over_http.request(
                    &holds.requests,
                    socket.route(),
                    rare.as_ref().and_then(|rare| rare.variables.as_ref()).map(|set| set.by_name()),
                    offer,
                )
            };
            socket.is_at(request.client);
            let asked = holds.requests.pool().request(socket.route(), request);
            match asked.or(self.given_up()).await {
                Err(OriginError::Unreachable { .. } | OriginError::QueueTimeout { .. })
                    if tries < RETRIES =>
                {
                    runtime::sleep(Duration::from_secs(1 << tries)).await;
                    tries += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// Returns some time after the client is gone. So an application that hangs cannot keep a request's memory forever.
    async fn given_up(&self) -> Result<Response, OriginError> {
        while !self.open_socket.is_over() {
            self.open_socket.changed().await;
        }
        runtime::sleep(PATIENCE).await;
        Err(OriginError::Unavailable)
    }

    /// Carries out the events of an answer, in order.
    async fn obey(&self, events: Vec<WebSocketEvent>) {
        let OpenSocket { slot, socket } = &self.open_socket;
        let holds = socket.holds();
        for event in events {
            if self.open_socket.is_over() || socket.detached.get() {
                return;
            }
            match event {
                WebSocketEvent::Text(content) => self.message(Opcode::Text, content).await,
                WebSocketEvent::Binary(content) => self.message(Opcode::Binary, content).await,
                WebSocketEvent::Ping(content) => self.open_socket.send(frame(Opcode::Ping, &content)).await,
                WebSocketEvent::Pong(content) => self.open_socket.send(frame(Opcode::Pong, &content)).await,
                WebSocketEvent::Close(close) => {
                    self.open_socket.send(close_frame(close.as_ref())).await;
                    match socket.closing.get() {
                        Closing::ByClient => return holds.close_socket(*slot, socket, false),
                        _ => holds.close_was_sent(*slot, socket),
                    }
                }
                WebSocketEvent::Open | WebSocketEvent::Disconnect => return self.open_socket.reset(),
            }
        }
    }

    /// Handles a message of the application: it is for the client, or a control message for this server.
    async fn message(&self, opcode: Opcode, content: Bytes) {
        let socket = &self.open_socket.socket;
        let said = Seen::message(&content);
        if !socket.over_http().is_some_and(|over_http| over_http.grip.get()) {
            self.count(Relayed { said, passed: said });
            return self.open_socket.send(socket.encode(opcode, &content)).await;
        }
        if opcode == Opcode::Text
            && let Some(control) = content.strip_prefix(b"c:")
        {
            self.count(Relayed { said, passed: Seen::default() });
            return self.open_socket.control(control).await;
        }
        let content = {
            let rare = socket.rare.borrow();
            let prefix = rare.as_ref().and_then(|rare| rare.prefix.as_deref()).unwrap_or(STANDARD_PREFIX);
            content.strip_prefix(prefix.as_bytes())
        };
        self.count(Relayed { said, passed: content.map(Seen::message).unwrap_or_default() });
        let frame = content.map(|content| socket.encode(opcode, content));
        self.open_socket.send(frame.unwrap_or_default()).await;
    }

    fn count(&self, relayed: Relayed) {
        let OpenSocket { slot, socket } = &self.open_socket;
        let holds = socket.holds();
        holds.count_relayed(*slot, socket, relayed);
    }

    /// Ends the connection of a client that has closed. The application had to answer the close in this request; if it
    /// did not, the connection is reset.
    fn settle_close(&self) {
        let OpenSocket { slot, socket } = &self.open_socket;
        let holds = socket.holds();
        let asks_later = socket.over_http().is_some_and(|over_http| over_http.interval_s.get() > 0);
        let done = match socket.closing.get() {
            Closing::ByClient => !asks_later,
            Closing::Done => true,
            Closing::No | Closing::ByServer | Closing::ByDrain => false,
        };
        if done && !self.open_socket.is_over() && socket.busy().waiting.is_empty() {
            match socket.closing.get() {
                Closing::Done => holds.close_socket(*slot, socket, false),
                _ => self.open_socket.reset(),
            }
        }
    }

    /// The task ends: sets the timer of the WebSocket.
    fn rest(&self) {
        let OpenSocket { slot, socket } = &self.open_socket;
        let holds = socket.holds();
        socket.busy().has_task = false;
        socket.settle();
        let Some(over_http) = socket.over_http() else { return };
        if self.open_socket.is_over() || socket.closing.get() != Closing::No {
            return;
        }
        let interval_s = u64::from(over_http.interval_s.get());
        if interval_s > 0 || socket.rare.borrow().is_some() {
            let interval_ms = (interval_s > 0).then_some(interval_s * 1000);
            socket.rare().clock.ask_in(holds.context.now(), interval_ms);
        }
        holds.wind(*slot, socket);
    }
}

impl Socket {
    /// How many events one request may have.
    fn events_at_a_time(&self) -> usize {
        match self.over_http().is_some_and(|over_http| over_http.one_event.get()) {
            true => 1,
            false => usize::MAX,
        }
    }

    /// Sets how long the WebSocket may be idle before the application is asked.
    pub(super) fn set_interval(&self, interval_s: u32) {
        if let Some(over_http) = self.over_http() {
            over_http.interval_s.set(interval_s);
        }
    }
}

const CONNECTION_ID: HeaderName = HeaderName::from_static("connection-id");
const CONTENT_BYTES_REPLAYED: HeaderName = HeaderName::from_static("content-bytes-replayed");
