//! One request that is being answered. It is shared by the core's loop, which feeds it the bytes that the client sends,
//! and the task that answers it. Received bytes are kept as they are and decoded when the task asks for them, so the
//! bytes of a pipelined request simply stay behind the request's body. Both directions are bounded: a full inbox pauses
//! the receive, and [`Exchange::send_paced`] waits until the client has taken what was sent before.

use super::Clients;
use super::held::InKernel;
use super::least_rate::{BodyClock, LeastRate};
use crate::bell::Bell;
use crate::context::{Booking, Context as CoreContext, Kind, Owner};
use crate::ids::Slot;
use crate::monitor::RouteStats;
use crate::proto::cross_origin::CrossOrigin;
use crate::proto::http1::{BodyDecoder, BodyLength, Version};
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Received bytes an exchange keeps before the receive is paused.
pub const INBOX_BYTES: usize = 64 * 1024;
/// A paused receive is resumed when fewer bytes than this wait.
pub const RESUME_BYTES: usize = INBOX_BYTES / 2;
/// Memory of a request beside its kept bytes: its task, its header fields, its answer's head.
const REQUEST_BYTES: usize = 6 * 1024;

/// A request being answered.
pub struct Exchange {
    clients: Rc<Clients>,
    /// The client's slot.
    pub slot: Slot,
    /// How the answer must look.
    pub asked: Asked,
    inbox: RefCell<BytesMut>,
    decoder: RefCell<BodyDecoder>,
    paused: Cell<bool>,
    continue_due: Cell<bool>,
    malformed: Cell<bool>,
    gone: Cell<bool>,
    left: Bell,
    drained: Bell,
    reader: RefCell<Option<Waker>>,
    body_clock: RefCell<BodyClock>,
    /// A part of the answer was sent.
    has_answered: Cell<bool>,
    /// Bytes of the request's head.
    head_bytes: Cell<usize>,
    /// Bytes of the request's body that are kept outside this value.
    body_bytes: Cell<usize>,
    owner: Rc<Owner>,
    booking: RefCell<Booking>,
    /// The headers that let a page of another origin read the answer, or the JSONP script that the page asked for;
    /// `None` for requests of no such page.
    cross_origin: RefCell<Option<Rc<CrossOrigin>>>,
}

/// The properties of a request that decide how its answer looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Asked {
    /// The client's HTTP version.
    pub version: Version,
    /// The client wants to reuse the connection.
    pub keep_alive: bool,
    /// The request was a HEAD: the answer has no body.
    pub head: bool,
}

/// The client is gone, so there is nobody to answer.
#[derive(Debug, thiserror::Error)]
#[error("the client closed the connection")]
pub struct Gone;

/// Why the whole body of a request could not be collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The body has more bytes than the limit.
    #[error("the request body is larger than {0} bytes")]
    TooLarge(usize),
    /// The body is malformed, or the connection ended.
    #[error(transparent)]
    Broken(#[from] io::Error),
}

impl Exchange {
    pub fn new(
        clients: Rc<Clients>,
        slot: Slot,
        asked: Asked,
        body: BodyLength,
        expect_continue: bool,
        inbox: BytesMut,
    ) -> Rc<Exchange> {
        let paused = Cell::new(clients.is_paused(slot));
        let owner = clients.owner(slot);
        let booking = owner.clone().book(Kind::Requests, REQUEST_BYTES + inbox.capacity()).into();
        let exchange = Exchange {
            clients,
            slot,
            asked,
            inbox: RefCell::new(inbox),
            decoder: RefCell::new(BodyDecoder::new(body)),
            paused,
            continue_due: Cell::new(expect_continue && asked.version == Version::Http11),
            malformed: Cell::new(false),
            gone: Cell::new(false),
            left: Bell::default(),
            drained: Bell::default(),
            reader: RefCell::default(),
            body_clock: RefCell::default(),
            has_answered: Cell::new(false),
            head_bytes: Cell::default(),
            body_bytes: Cell::default(),
            owner,
            booking,
            cross_origin: RefCell::default(),
        };
        exchange.pace_reading();
        Rc::new(exchange)
    }

    /// The values that all rooms of the client's core share.
    pub fn context(&self) -> &Rc<CoreContext> {
        self.clients.context()
    }

    /// Has `count` change the statistics of the request's route, unless the client is gone.
    pub fn count(&self, count: impl FnOnce(&mut RouteStats)) {
        if !self.is_gone() {
            self.clients.count_for(self.slot, count);
        }
    }

    /// Counts a part of the application's answer.
    pub fn count_answered(&self, content_bytes: usize) {
        self.count(|route_stats| route_stats.server.received.content_bytes += content_bytes as u64);
    }

    /// The headers that let a page of another origin read the answer, or the JSONP script that the page asked for;
    /// `None` for requests of no such page.
    pub fn cross_origin(&self) -> Option<Rc<CrossOrigin>> {
        self.cross_origin.borrow().clone()
    }

    pub fn set_cross_origin(&self, cross_origin: Option<Rc<CrossOrigin>>) {
        *self.cross_origin.borrow_mut() = cross_origin;
    }

    /// Adds bytes that arrived from the client.
    pub fn received(&self, bytes: &[u8]) {
        self.inbox.borrow_mut().extend_from_slice(bytes);
        self.pace_reading();
        self.book();
        if let Some(reader) = self.reader.borrow_mut().take() {
            reader.wake();
        }
    }

    /// Books the head's `bytes`, which are kept until the request is answered.
    pub fn keep_head(&self, bytes: usize) {
        self.head_bytes.set(bytes);
        self.book();
    }

    /// Books `bytes` of the body that are kept outside this value, beside the bytes that have not been read yet.
    pub fn keep_body(&self, bytes: usize) {
        self.body_bytes.set(bytes);
        self.book();
    }

    /// The owner of the bytes that are kept for the request.
    pub fn owner(&self) -> Rc<Owner> {
        self.owner.clone()
    }

    fn book(&self) {
        let kept = self.head_bytes.get() + self.body_bytes.get() + self.inbox.borrow().capacity();
        self.booking.borrow_mut().set(REQUEST_BYTES + kept);
    }

    /// The client has taken everything that was sent.
    pub fn taken(&self) {
        self.drained.ring();
    }

    /// The connection has ended: the task that answers the request is dropped at its next turn.
    pub fn end(&self) {
        self.gone.set(true);
        self.left.ring();
        self.drained.ring();
        if let Some(reader) = self.reader.borrow_mut().take() {
            reader.wake();
        }
    }

    /// Whether the connection has ended.
    pub fn is_gone(&self) -> bool {
        self.gone.get()
    }

    /// Waits until the connection has ended.
    pub async fn ended(&self) {
        while !self.gone.get() {
            self.left.rung().await;
        }
    }

    /// If the task waits for the client, the tick of the client's last progress: the tick at which content of the
    /// request last arrived, or the client last took sent bytes. Bytes that the client sends behind the request are no
    /// progress.
    pub fn waits_for_client_since(&self) -> Option<u32> {
        let body = self.body_clock.borrow().waits_since();
        let answer = self.clients.takes_nothing_since(self.slot);
        let ago = |since: &u32| self.clients.context.now().wrapping_sub(*since);
        body.into_iter().chain(answer).min_by_key(ago)
    }

    /// Whether a window has ended in which the request's content came too slowly.
    pub(super) fn body_is_too_slow(&self, rate: LeastRate) -> bool {
        self.body_clock.borrow_mut().is_too_slow(self.clients.context.now(), rate)
    }

    /// The tick at which [`Exchange::body_is_too_slow`] must be asked again, if the task waits for content. The tick
    /// may have passed.
    pub(super) fn body_due(&self, rate: LeastRate) -> Option<u32> {
        self.body_clock.borrow().due(self.clients.context.now(), rate)
    }

    /// The task no longer waits for the request's body.
    pub fn leave_body(&self) {
        self.reader.take();
        self.body_clock.borrow_mut().go_on(self.clients.context.now(), 0);
    }

    /// Whether the answer has begun.
    pub fn has_answered(&self) -> bool {
        self.has_answered.get()
    }

    /// The next bytes of the request's body; `None` at its end, an error if the body is malformed or the connection
    /// ended.
    pub fn poll_body(&self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let outcome = self.decode();
        if let Poll::Ready(Some(Ok(part))) = &outcome {
            self.count(|route_stats| route_stats.client.received.content_bytes += part.len() as u64);
        }
        match &outcome {
            Poll::Ready(Some(Ok(part))) => {
                self.body_clock.borrow_mut().go_on(self.clients.context.now(), part.len())
            }
            Poll::Ready(_) => self.leave_body(),
            Poll::Pending => self.wait_for_body(),
        }
        if outcome.is_pending() {
            self.ask_to_continue();
            *self.reader.borrow_mut() = Some(context.waker().clone());
            if self.gone.get() {
                return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
            }
        }
        self.pace_reading();
        self.book();
        outcome
    }

    /// The whole body.
    ///
    /// # Errors
    /// If the body has more than `limit` bytes, is malformed, or the connection ends first.
    pub async fn collect_body(&self, limit: usize) -> Result<Bytes, CollectError> {
        let (mut whole, before) = (BytesMut::new(), self.body_bytes.get());
        while let Some(part) = poll_fn(|context| self.poll_body(context)).await {
            let part = part?;
            if whole.len() + part.len() > limit {
                return Err(CollectError::TooLarge(limit));
            }
            whole.extend_from_slice(&part);
            self.keep_body(before + whole.capacity());
        }
        Ok(whole.freeze())
    }

    /// Whether the whole body was read.
    pub fn body_is_done(&self) -> bool {
        self.decoder.borrow().is_done()
    }

    /// Whether the connection may carry another request.
    pub fn goes_on(&self) -> bool {
        self.clients.goes_on(self.slot)
    }

    /// Whether the body was malformed.
    pub fn body_is_malformed(&self) -> bool {
        self.malformed.get()
    }

    /// Queues `data` for the client.
    ///
    /// # Errors
    /// If the client is gone, or its backlog has no room. In that case its connection is reset.
    pub fn send(&self, data: Bytes) -> Result<(), Gone> {
        self.has_answered.set(true);
        self.send_ahead(data)
    }

    fn send_ahead(&self, data: Bytes) -> Result<(), Gone> {
        if self.gone.get() {
            return Err(Gone);
        }
        let sent = self.clients.send(self.slot, data);
        self.clients.context.wake();
        sent.map_err(|_overflow| {
            self.clients.reset_overflowed(self.slot);
            Gone
        })
    }

    /// Sends `data` once the client has taken all bytes that were sent before, and returns when `data` has been handed
    /// to the kernel.
    ///
    /// # Errors
    /// If the client is gone, or its backlog has no room.
    pub async fn send_paced(&self, data: Bytes) -> Result<(), Gone> {
        while !self.gone.get() && self.clients.is_backlogged(self.slot) {
            self.drained.rung().await;
        }
        self.send(data)?;
        self.clients.flush();
        Ok(())
    }

    /// Takes the bytes behind the request's body: the start of the next request. If they are many, the client stays
    /// paused.
    pub fn take_rest(&self) -> BytesMut {
        self.pace_reading();
        let rest = std::mem::take(&mut *self.inbox.borrow_mut());
        self.book();
        rest
    }

    /// Pauses the receive when the inbox is full, and resumes it when the inbox is less than half full.
    fn pace_reading(&self) {
        let bytes = self.inbox.borrow().len();
        if bytes >= INBOX_BYTES && !self.paused.replace(true) {
            self.clients.pause(self.slot);
        } else if bytes < RESUME_BYTES && self.paused.replace(false) {
            self.clients.resume(self.slot);
            self.clients.context.wake();
        }
    }

    /// The whole answer is queued. The connection waits for the next request if `keep` allows it and the body was read
    /// to its end; else it is closed.
    pub fn finish(self: &Rc<Self>, keep: bool) {
        if !self.gone.get() {
            let keep = keep && self.body_is_done() && !self.malformed.get();
            self.clients.exchange_finished(self, keep);
        }
    }

    /// Resets the connection, so that the client can tell that the answer is incomplete.
    pub fn reset(&self) {
        if !self.gone.get() {
            self.clients.reset(self.slot, InKernel::Delivered);
        }
    }

    fn decode(&self) -> Poll<Option<io::Result<Bytes>>> {
        let mut decoder = self.decoder.borrow_mut();
        let mut inbox = self.inbox.borrow_mut();
        loop {
            if decoder.is_done() {
                return Poll::Ready(None);
            }
            if inbox.is_empty() {
                return Poll::Pending;
            }
            // The inbox may hold much more. Decoding it all at once would make callers copy it all at once.
            let input = inbox.get(..inbox.len().min(INBOX_BYTES)).unwrap_or_default();
            let decoded = match decoder.decode(input) {
                Ok(decoded) => decoded,
                Err(error) => {
                    self.malformed.set(true);
                    return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::InvalidData, error))));
                }
            };
            if decoded.used == 0 {
                return Poll::Pending;
            }
            let used = inbox.split_to(decoded.used).freeze();
            if !decoded.data.is_empty() {
                return Poll::Ready(Some(Ok(used.slice(decoded.data))));
            }
        }
    }

    /// The task waits for content, and from now on the client's pace is judged.
    fn wait_for_body(&self) {
        let is_new = self.body_clock.borrow_mut().wait(self.clients.context.now());
        if is_new && !self.gone.get() {
            self.clients.watch_body(self);
        }
    }

    /// Answers `Expect: 100-continue` when the body is first wanted and has not arrived (RFC 9110 section 10.1.1).
    fn ask_to_continue(&self) {
        if self.continue_due.replace(false) {
            let _ = self.send_ahead(Bytes::from_static(b"HTTP/1.1 100 Continue\r\n\r\n"));
        }
    }
}
