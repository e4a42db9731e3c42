//! Ends connections. A connection is closed when its client has taken everything that was sent, is reset at once, is
//! ended by its client, or times out. All of these lead to `release`, which takes the connection out of every table.

use super::Clients;
use super::exchange::Exchange;
use super::held::{Held, InKernel};
use super::row::Phase;
use crate::ids::Slot;
use crate::proto::http1;
use std::rc::Rc;

/// How long a closed connection's unread input is drained, ms.
const LINGER_MS: u64 = 2_000;

impl Clients {
    /// Answers a malformed request with an error, and closes the connection.
    pub fn close_with_error(self: &Rc<Self>, slot: Slot, status: u16, message: &str) {
        let _ = self.wire.borrow_mut().send(slot, http1::error_answer(status, message));
        self.close(slot, true);
    }

    /// Closes the connection once the client has taken all queued bytes. `unread` says that the client may have sent
    /// bytes that nobody reads.
    pub fn close(self: &Rc<Self>, slot: Slot, unread: bool) {
        self.request_ends(slot);
        let before = {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot) else { return };
            row.carry = None;
            std::mem::replace(&mut row.phase, Phase::Closing { linger: unread })
        };
        if let Phase::Held(held) = before {
            held.ended(slot);
        }
        let backlogged = {
            let mut wire = self.wire.borrow_mut();
            wire.resume(slot);
            wire.flush();
            wire.is_backlogged(slot)
        };
        self.context.wake();
        match backlogged {
            true => self.set_timer(slot, self.context.settings().http.idle_timeout_ms),
            false => self.finish_close(slot),
        }
    }

    /// Goes on with closing: the kernel has taken all queued bytes.
    fn finish_close(self: &Rc<Self>, slot: Slot) {
        let linger = {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot) else { return };
            let linger = matches!(row.phase, Phase::Closing { linger: true });
            if linger {
                row.phase = Phase::Lingering;
            }
            linger
        };
        if linger {
            self.wire.borrow_mut().shutdown(slot);
            self.set_timer(slot, LINGER_MS);
        } else {
            self.release(slot);
        }
    }

    /// The client in `slot` has taken everything that it was sent.
    pub fn drained(self: &Rc<Self>, slot: Slot) {
        enum Waiter {
            Exchange(Rc<Exchange>),
            Closing,
            Held(Rc<dyn Held>),
            Nobody,
        }
        self.takings.borrow_mut().forget(slot);
        let waiter = match self.rows.borrow_mut().get(slot).map(|row| &row.phase) {
            Some(Phase::Exchange(exchange)) => Waiter::Exchange(exchange.clone()),
            Some(Phase::Closing { .. }) => Waiter::Closing,
            Some(Phase::Held(held)) => Waiter::Held(held.clone()),
            Some(Phase::Head) => Waiter::Nobody,
            _ => return,
        };
        match waiter {
            Waiter::Exchange(exchange) => exchange.taken(),
            Waiter::Closing => self.finish_close(slot),
            Waiter::Held(held) => held.drained(slot),
            Waiter::Nobody => self.await_request(slot),
        }
    }

    /// The client has taken its answer. Sets the timer for its next request, unless that request has begun.
    fn await_request(&self, slot: Slot) {
        let has_begun = self.rows.borrow_mut().get(slot).is_some_and(|row| row.carry.is_some());
        if !has_begun {
            self.set_timer(slot, self.context.settings().http.idle_timeout_ms);
        }
    }

    /// The client finished sending. Whether it still reads cannot be known, and the request of a client that is gone
    /// must not keep its application at work. So only an answer that is already complete is still delivered.
    pub fn client_ended(self: &Rc<Self>, slot: Slot) {
        {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot) else { return };
            if let Phase::Closing { linger } = &mut row.phase {
                *linger = false;
                return;
            }
        }
        self.release(slot);
    }

    /// Ends the connection at once and takes it out of every table. Every end of a connection comes here last.
    fn release(self: &Rc<Self>, slot: Slot) {
        self.request_ends(slot);
        let Some(row) = self.rows.borrow_mut().free(slot) else { return };
        self.timers.borrow_mut().cancel(slot);
        self.takings.borrow_mut().forget(slot);
        self.wire.borrow_mut().close(slot);
        self.context.wake();
        match row.phase {
            Phase::Exchange(exchange) => exchange.end(),
            Phase::Held(held) => held.ended(slot),
            Phase::Free | Phase::Head | Phase::Closing { .. } | Phase::Lingering => {}
        }
        self.context.accounts.ended(slot);
    }

    /// The timer of the client in `slot` has fired. The phase of its row decides what follows.
    pub fn timed_out(self: &Rc<Self>, slot: Slot) {
        enum Late {
            Head,
            Exchange(Rc<Exchange>),
            Held(Rc<dyn Held>),
            Quiet,
            Lingering,
        }
        let late = {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot) else { return };
            match &row.phase {
                Phase::Head if row.carry.is_some() => Late::Head,
                Phase::Exchange(exchange) => Late::Exchange(exchange.clone()),
                Phase::Held(held) => Late::Held(held.clone()),
                Phase::Free => return,
                Phase::Head | Phase::Closing { .. } => Late::Quiet,
                Phase::Lingering => Late::Lingering,
            }
        };
        match late {
            Late::Head => {
                self.context.metrics.bad_requests_total.add(1);
                self.close_with_error(slot, 408, "The request head did not arrive in time.\n");
            }
            Late::Exchange(exchange) => self.check_progress(&exchange),
            Late::Held(held) => held.is_due(slot),
            Late::Quiet => self.is_idle(slot),
            Late::Lingering => self.release(slot),
        }
    }

    /// The connection has failed: its client is gone.
    pub fn failed(self: &Rc<Self>, slot: Slot) {
        self.release(slot);
    }

    /// Resets the connection in the middle of an answer: the client can tell that the answer is incomplete.
    pub fn reset(self: &Rc<Self>, slot: Slot, in_kernel: InKernel) {
        {
            let mut wire = self.wire.borrow_mut();
            wire.tear(slot);
            if in_kernel == InKernel::Discarded {
                wire.reset(slot);
            }
        }
        self.release(slot);
    }

    /// Resets a connection whose backlog is full.
    pub fn reset_overflowed(self: &Rc<Self>, slot: Slot) {
        self.context.metrics.overflows_total.add(1);
        self.reset(slot, InKernel::Delivered);
    }
}
