//! The life of a client connection between its requests: heads read in place, requests handed to those who answer them,
//! on to the next request. `opening` has its beginning, `closing` its end.

use super::exchange::{Asked, Exchange, INBOX_BYTES, RESUME_BYTES};
use super::held::Held;
use super::request::Request;
use super::row::{Carry, Phase, Row};
use super::{Clients, Services};
use crate::ids::Slot;
use crate::proto::http1::{self, Head, HeadError, HeadLimits, Headers, RequestHead, Target};
use bytes::{Buf, Bytes, BytesMut};
use http::Method;
use std::rc::Rc;

/// What became of a request head.
enum Parsed {
    /// It is whole, and has so many bytes.
    Whole(Box<Begun>, usize),
    /// More of it must arrive.
    Partial,
    /// The client was told that it is none.
    Rejected,
}

/// A request whose answer may begin.
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
            Taker::Head(None) => self.read_head(slot, bytes),
            // Not read again and again while it comes byte by byte.
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
                    row.keep(input, &self.context.accounts.heads);
                }
                // Set once: a client that sends a byte now and then does not gain time.
                self.set_timer(slot, self.context.settings().http.head_timeout_ms);
            }
            Parsed::Rejected => {}
        }
    }

    /// The same for a head that came in pieces, or behind another request; `carry` goes back to the row if it is still
    /// not whole. What follows the head is not copied: there may be many short requests in it.
    fn continue_head(self: &Rc<Self>, slot: Slot, carry: Box<Carry>) {
        match self.parse(slot, carry.bytes()) {
            Parsed::Whole(begun, used) => {
                let mut bytes = carry.into_bytes();
                bytes.advance(used);
                self.start(slot, *begun, queue_of(bytes));
            }
            Parsed::Partial => {
                self.keep_head(slot, carry);
                // `http.head_bytes` bounds a head, and the rest of it must come.
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

    /// Reads a client again of which `queued` bytes wait, unless they are many.
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

    /// What a client whose head cannot be read is told.
    fn refusal(&self, slot: Slot, error: &HeadError) -> (u16, String) {
        let service = self.rows.borrow_mut().get(slot).map(|row| row.service);
        let refusal =
            service.zip(self.services()).map(|(service, services)| services.refusal(service, error));
        refusal.unwrap_or_else(|| (error.status(), format!("{error}\n")))
    }

    /// What a whole head asks for; `None` if it is rejected, or there is no client any more.
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

    /// Hands a whole request to its service, in a task of its own; `inbox` has arrived behind its head.
    fn start(self: &Rc<Self>, slot: Slot, begun: Begun, inbox: BytesMut) {
        let Begun { asked, expect_continue, head_bytes, request } = begun;
        let exchange = Exchange::new(self.clone(), slot, asked, request.body, expect_continue, inbox);
        exchange.keep_head(head_bytes);
        {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot) else { return };
            row.carry = None;
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

    /// The task of an exchange is done and its answer queued: on to the next request, or close.
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

    /// Waits for the next request, of which `input` has arrived already.
    pub fn next_request(self: &Rc<Self>, slot: Slot, input: BytesMut) {
        let is_pipelined = !input.is_empty();
        self.request_ends(slot);
        {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot) else { return };
            row.phase = Phase::Head;
            row.carry = is_pipelined.then(|| Carry::new(input, &self.context.accounts.heads));
        }
        self.set_timer(slot, self.context.settings().http.idle_timeout_ms);
        if is_pipelined {
            // Read by the loop, not here: a task starts at once when it is spawned, and requests that came together
            // would each be answered on the stack of the one before.
            self.pipelined.borrow_mut().push(slot);
            self.context.wake();
        }
    }

    /// Goes on with connections whose next request came before the answer to the last; whether there were any.
    pub fn read_pipelined(self: &Rc<Self>) -> bool {
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

/// What waits behind a head, in no more memory than it is worth: a buffer that once took much is not kept for little.
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
