//! Reads the requests of client connections. Heads are read in place, requests are handed to the room that answers
//! them, and then the next request is read. `opening` is the beginning of a connection, `closing` its end.

use super::exchange::{Asked, Exchange, INBOX_BYTES, RESUME_BYTES};
use super::held::Held;
use super::request::Request;
use super::row::{Carry, Mark, Phase, Row};
use super::{Clients, Services};
use crate::ids::Slot;
use crate::proto::http1::{self, Head, HeadError, HeadLimits, Headers, RequestHead, Target};
use bytes::{Buf, Bytes, BytesMut};
use http::Method;
use std::rc::Rc;

/// The outcome of parsing a request head.
enum Parsed {
    /// The head is complete, and has this many bytes.
    Whole(Box<Begun>, usize),
    /// More of it must arrive.
    Partial,
    /// The head is malformed, and the client was told so.
    Rejected,
}

/// A complete request head, as far as answering it needs.
struct Begun {
    asked: Asked,
    expect_continue: bool,
    /// Bytes of the head.
    head_bytes: usize,
    request: Request,
}

impl Clients {
    /// The client in `slot` has sent `bytes`.
    pub fn received(self: &Rc<Self>, slot: Slot, bytes: &[u8]) {
        enum Taker {
            Head(Option<Box<Carry>>),
            Exchange(Rc<Exchange>),
            Held(Rc<dyn Held>),
        }
        let taker = {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot) else { return };
            match &row.phase {
                Phase::Head => Taker::Head(row.carry.take()),
                Phase::Exchange(exchange) => Taker::Exchange(exchange.clone()),
                Phase::Held(held) => Taker::Held(held.clone()),
                Phase::Closing { .. } | Phase::Lingering | Phase::Free => return,
            }
        };
        match taker {
            Taker::Head(carry) if self.begins_no_request(slot) => self.put_off(slot, carry, bytes),
            Taker::Head(None) => self.read_head(slot, bytes),
            // The head is parsed only when it may be complete, not again with each byte that comes.
            Taker::Head(Some(mut carry)) => match carry.append(bytes) || self.is_too_long(&carry) {
                true => self.continue_head(slot, carry),
                false => self.keep_head(slot, carry),
            },
            Taker::Exchange(exchange) => exchange.received(bytes),
            Taker::Held(held) => held.received(slot, bytes),
        }
    }

    /// Parses a request head at the start of `input`, in place, and starts answering it if it is whole.
    fn read_head(self: &Rc<Self>, slot: Slot, input: &[u8]) {
        match self.parse(slot, input) {
            Parsed::Whole(begun, used) => {
                self.start(slot, *begun, BytesMut::from(input.get(used..).unwrap_or_default()));
            }
            Parsed::Partial => {
                {
                    let mut rows = self.rows.borrow_mut();
                    let Some(row) = rows.get(slot) else { return };
                    let owner = row.owner(slot, &self.context.accounts);
                    row.keep(input, owner);
                }
                // The timer is set once, so a client cannot gain time by sending a byte now and then.
                self.set_timer(slot, self.context.settings().http.head_timeout_ms);
            }
            Parsed::Rejected => {}
        }
    }

    /// Parses a request head that came in pieces or behind another request, and starts answering it if it is whole. If
    /// it is not, `carry` goes back to the row. The bytes behind the head are not copied, because there may be many
    /// short requests in them.
    fn continue_head(self: &Rc<Self>, slot: Slot, carry: Box<Carry>) {
        match self.parse(slot, carry.bytes()) {
            Parsed::Whole(begun, used) => {
                let mut bytes = carry.into_bytes();
                bytes.advance(used);
                self.start(slot, *begun, queue_of(bytes));
            }
            Parsed::Partial => {
                self.keep_head(slot, carry);
                // The rest of the head must be read; `http.head_bytes` bounds it.
                self.wire.borrow_mut().resume(slot);
            }
            Parsed::Rejected => {}
        }
    }

    fn is_too_long(&self, head: &Carry) -> bool {
        head.bytes().len() >= self.context.settings().http.head_bytes
    }

    fn keep_head(&self, slot: Slot, head: Box<Carry>) {
        if let Some(row) = self.rows.borrow_mut().get(slot) {
            row.carry = Some(head);
        }
    }

    /// Resumes reading a client, unless the `queued` bytes of it that wait are many.
    pub fn read_on(&self, slot: Slot, queued: usize) {
        if queued < RESUME_BYTES {
            self.wire.borrow_mut().resume(slot);
        }
    }

    fn parse(self: &Rc<Self>, slot: Slot, input: &[u8]) -> Parsed {
        let limits = HeadLimits { head_bytes: self.context.settings().http.head_bytes };
        match http1::parse_head(input, &limits) {
            Ok(Head::Partial) => Parsed::Partial,
            Ok(Head::Complete { request, used }) => match self.understand(slot, &request, input, used) {
                Some(begun) => Parsed::Whole(Box::new(begun), used),
                None => Parsed::Rejected,
            },
            Err(error) => {
                self.context.metrics.bad_requests_total.add(1);
                let (status, message) = self.refusal(slot, &error);
                self.close_with_error(slot, status, &message);
                Parsed::Rejected
            }
        }
    }

    /// Status and text of the answer to a client whose request head cannot be read.
    fn refusal(&self, slot: Slot, error: &HeadError) -> (u16, String) {
        let service = self.rows.borrow_mut().get(slot).map(|row| row.service);
        let refusal =
            service.zip(self.services()).map(|(service, services)| services.refusal(service, error));
        refusal.unwrap_or_else(|| (error.status(), format!("{error}\n")))
    }

    /// The request of a complete head; `None` if it is rejected, or the client is gone.
    fn understand(
        self: &Rc<Self>,
        slot: Slot,
        head: &RequestHead<'_>,
        input: &[u8],
        used: usize,
    ) -> Option<Begun> {
        let shared = Bytes::copy_from_slice(input.get(..used).unwrap_or(input));
        let Some((method, headers)) = head.to_owned_parts(input, &shared) else {
            self.close_with_error(slot, 400, "The request's method or header fields are malformed.\n");
            return None;
        };
        let asked =
            Asked { version: head.version, keep_alive: head.keep_alive, head: method == Method::HEAD };
        let mut request = {
            let mut rows = self.rows.borrow_mut();
            Request::new(head, method, headers, rows.get(slot)?)
        };
        request.is_trusted = request.service.is_for_clients()
            && self.services().is_some_and(|services| services.are_trusted(&request.headers));
        Some(Begun { asked, expect_continue: head.expect_continue, head_bytes: used, request })
    }

    /// Hands a request to its service, which answers it in a task. `inbox` are the bytes that have arrived behind its
    /// head.
    fn start(self: &Rc<Self>, slot: Slot, begun: Begun, inbox: BytesMut) {
        let Begun { asked, expect_continue, head_bytes, request } = begun;
        let exchange = Exchange::new(self.clone(), slot, asked, request.body, expect_continue, inbox);
        exchange.keep_head(head_bytes);
        {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot) else { return };
            row.carry = None;
            row.mark = Mark::None;
            row.phase = Phase::Exchange(exchange.clone());
        }
        if request.service.is_for_clients() {
            self.request_begins(slot);
        }
        self.set_timer(slot, self.context.settings().http.idle_timeout_ms);
        self.context.metrics.requests_total.add(1);
        if let Some(services) = self.services() {
            services.answer(exchange, request);
        }
    }

    fn services(&self) -> Option<Rc<dyn Services>> {
        self.services.get()?.upgrade()
    }

    /// The answer of an exchange is queued: waits for the next request, or closes the connection.
    pub(super) fn exchange_finished(self: &Rc<Self>, exchange: &Rc<Exchange>, keep: bool) {
        let rest = exchange.take_rest();
        let unread = !exchange.body_is_done() || exchange.body_is_malformed() || !rest.is_empty();
        let is_current =
            self.rows.borrow_mut().get(exchange.slot).is_some_and(|row| row.is_answered_by(exchange));
        if !is_current {
            return;
        }
        match keep {
            true => self.next_request(exchange.slot, rest),
            false => self.close(exchange.slot, unread),
        }
    }

    /// Waits for the next request, or closes a connection that is being drained. `input` are the bytes of the next request
    /// that have arrived already.
    pub fn next_request(self: &Rc<Self>, slot: Slot, input: BytesMut) {
        let is_pipelined = !input.is_empty();
        self.request_ends(slot);
        if !is_pipelined && !self.goes_on(slot) {
            return self.close(slot, true);
        }
        {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot) else { return };
            row.phase = Phase::Head;
            row.carry = is_pipelined.then(|| Carry::new(input, row.owner(slot, &self.context.accounts)));
        }
        self.set_timer(slot, self.context.settings().http.idle_timeout_ms);
        if is_pipelined {
            // The loop reads the request, not this function: a new task runs at once, so the answers of requests that
            // came together would be nested on the stack.
            self.pipelined.borrow_mut().push(slot);
            self.context.wake();
        }
    }

    /// Reads requests that arrived before the answer to the request before them was complete. Returns whether there
    /// were any.
    pub fn read_pipelined(self: &Rc<Self>) -> bool {
        if self.context.gate.life().is_pausing() {
            return false;
        }
        let waiting = self.pipelined.take();
        for slot in &waiting {
            let carry = match self.rows.borrow_mut().get(*slot) {
                Some(row) if matches!(row.phase, Phase::Head) => row.carry.take(),
                _ => None,
            };
            if let Some(carry) = carry {
                self.continue_head(*slot, carry);
            }
        }
        !waiting.is_empty()
    }
}

/// The bytes that wait behind a head. A buffer that is much larger than its bytes is replaced by a small one.
fn queue_of(rest: BytesMut) -> BytesMut {
    match rest.capacity() > 2 * INBOX_BYTES && rest.capacity() / 4 > rest.len() {
        true => BytesMut::from(&rest[..]),
        false if rest.is_empty() => BytesMut::new(),
        false => rest,
    }
}

impl Request {
    fn new(head: &RequestHead<'_>, method: Method, headers: Headers, row: &Row) -> Request {
        let target = match &head.target {
            Target::Origin(target) => target.to_string(),
            Target::Asterisk => "*".to_owned(),
        };
        let (peer, service) = (row.peer(), row.service);
        Request {
            method,
            target,
            host: head.host.to_owned(),
            headers,
            body: head.body,
            peer,
            service,
            is_trusted: false,
        }
    }
}
