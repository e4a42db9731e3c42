//! Stops and resumes the wire for a hand-over of the clients to another process, and leaves the listening sockets to it.

use super::Clients;

impl Clients {
    /// Nothing is accepted, received or sent from now on, until [`resume_all`](Clients::resume_all).
    pub fn quiesce(&self) {
        self.wire.borrow_mut().quiesce();
    }

    /// Whether nothing is in flight any more after [`quiesce`](Clients::quiesce), and all that has arrived was seen.
    pub fn is_quiet(&self) -> bool {
        self.wire.borrow().is_quiet()
    }

    /// Goes on with the clients, and accepts others.
    pub fn resume_all(&self) {
        self.wire.borrow_mut().resume_all();
    }

    /// Leaves the listening sockets to another process, and goes on with the clients that are left here. The wire has to be
    /// quiet.
    pub fn leave_listeners(&self) {
        let mut wire = self.wire.borrow_mut();
        wire.leave_listeners();
        wire.resume_clients();
    }
}
