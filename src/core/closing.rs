//! How a connection ends: at once or when its client has taken everything, by the client, or because its time is up. Every
//! way goes through [`Core::close`], which leaves nothing of it in any table.

use super::Core;
use super::exchange::Exchange;
use super::row::Phase;
use super::socket::Socket;
use crate::ids::Slot;
use crate::proto::http1;
use std::rc::Rc;

/// How long a closed connection's unread input is drained, ms.
const LINGER_MS: u64 = 2_000;

impl Core {
    /// Answers a request that is not one, and closes.
    pub(super) fn reject(self: &Rc<Self>, slot: Slot, status: u16, message: &str) {
        let _ = self.wire.borrow_mut().send(slot, http1::error_answer(status, message));
        self.leave(slot, true);
    }

    /// Closes once the client has taken what is queued; `linger` when it may have sent what nobody reads.
    pub(super) fn leave(self: &Rc<Self>, slot: Slot, linger: bool) {
        self.unsubscribe(slot);
        self.request_ends(slot);
        {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot) else { return };
            row.carry = None;
            row.phase = Phase::Leaving { linger };
        }
        let backlogged = {
            let mut wire = self.wire.borrow_mut();
            wire.resume(slot);
            wire.flush();
            wire.is_backlogged(slot)
        };
        self.wake();
        match backlogged {
            true => self.set_timer(slot, self.settings().http.idle_timeout_ms),
            false => self.depart(slot),
        }
    }

    /// All that was queued is with the kernel.
    fn depart(self: &Rc<Self>, slot: Slot) {
        let linger = {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot) else { return };
            let linger = matches!(row.phase, Phase::Leaving { linger: true });
            if linger {
                row.phase = Phase::Lingering;
            }
            linger
        };
        if linger {
            self.wire.borrow_mut().shutdown(slot);
            self.set_timer(slot, LINGER_MS);
        } else {
            self.close(slot);
        }
    }

    pub(super) fn drained(self: &Rc<Self>, slot: Slot) {
        enum Waiter {
            Exchange(Rc<Exchange>),
            Leaving,
            Socket(Rc<Socket>),
            Linked,
            Nobody,
        }
        self.takings.borrow_mut().forget(slot);
        let waiter = match self.rows.borrow_mut().get(slot).map(|row| &row.phase) {
            Some(Phase::Exchange(exchange)) => Waiter::Exchange(exchange.clone()),
            Some(Phase::Leaving { .. }) => Waiter::Leaving,
            Some(Phase::Socket(socket)) => Waiter::Socket(socket.clone()),
            Some(Phase::Linked(_)) => Waiter::Linked,
            Some(Phase::Head) => Waiter::Nobody,
            _ => return,
        };
        match waiter {
            Waiter::Exchange(exchange) => exchange.taken(),
            Waiter::Leaving => self.depart(slot),
            Waiter::Socket(socket) => socket.wake(),
            Waiter::Linked => self.linked_drained(slot),
            Waiter::Nobody => self.await_request(slot),
        }
    }

    /// The client has taken its answer: from now on its next request is waited for, unless that has begun.
    fn await_request(&self, slot: Slot) {
        let has_begun = self.rows.borrow_mut().get(slot).is_some_and(|row| row.carry.is_some());
        if !has_begun {
            self.set_timer(slot, self.settings().http.idle_timeout_ms);
        }
    }

    /// The client finished sending. That it still reads cannot be told from that it left, and a client that left
    /// must not keep its application at work: only an answer that is complete is still delivered.
    pub(super) fn client_ended(self: &Rc<Self>, slot: Slot) {
        {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot) else { return };
            if let Phase::Leaving { linger } = &mut row.phase {
                *linger = false;
                return;
            }
        }
        self.close(slot);
    }

    /// Ends the connection now and takes it out of every table.
    pub(super) fn close(self: &Rc<Self>, slot: Slot) {
        self.request_ends(slot);
        let Some(row) = self.rows.borrow_mut().free(slot) else { return };
        self.unsubscribe(slot);
        self.subscriptions.borrow_mut().forget_tally(slot);
        self.timers.borrow_mut().cancel(slot);
        self.takings.borrow_mut().forget(slot);
        self.wire.borrow_mut().close(slot);
        self.wake();
        match &row.phase {
            Phase::Exchange(exchange) => exchange.end(),
            Phase::Socket(socket) => self.socket_ended(slot, socket),
            _ => {}
        }
    }

    /// The client did not do in time what its phase waits for.
    pub(super) fn timed_out(self: &Rc<Self>, slot: Slot) {
        enum Late {
            Head,
            Hold,
            Exchange(Rc<Exchange>),
            Socket(Rc<Socket>),
            Quiet,
            Lingering,
        }
        let late = {
            let mut rows = self.rows.borrow_mut();
            let Some(row) = rows.get(slot) else { return };
            match &row.phase {
                Phase::Head if row.carry.is_some() => Late::Head,
                Phase::Stream(_) | Phase::Linked(_) | Phase::Poll(_) => Late::Hold,
                Phase::Exchange(exchange) => Late::Exchange(exchange.clone()),
                Phase::Socket(socket) => Late::Socket(socket.clone()),
                Phase::Free | Phase::Unopened(_) => return,
                Phase::Head | Phase::Leaving { .. } => Late::Quiet,
                Phase::Lingering => Late::Lingering,
            }
        };
        match late {
            Late::Head => {
                self.gauges.bad_requests_total.add(1);
                self.reject(slot, 408, "The request head did not arrive in time.\n");
            }
            Late::Hold => self.hold_is_due(slot),
            Late::Exchange(exchange) => self.check_progress(&exchange),
            Late::Socket(socket) => self.socket_is_due(slot, &socket),
            Late::Quiet => self.is_idle(slot),
            Late::Lingering => self.close(slot),
        }
    }
}
