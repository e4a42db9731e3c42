//! The TCP listeners of a core, and the division of its slots. The last slots are reserved for operators and
//! publishers, so that a flood of clients cannot shut them out. Operators and publishers may have at most half of all
//! slots, so that they cannot shut out clients. `accepting` applies this.

use super::WireLimits;
use super::admission::PortUse;
use super::listener::{ACCEPTS, Listener};
use super::proxied::Preface;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

/// The TCP listeners of a core, and the division of its slots.
pub(super) struct Listeners {
    pub all: Vec<(Listener, Preface)>,
    /// The listener that gets the first slot that becomes free.
    pub first: usize,
    /// Slots that clients may not take.
    pub reserved: usize,
    /// Slots that operators may take at most.
    pub for_operators: usize,
    /// Accepts in flight for each listener of operators, so that idle listeners do not take all reserved slots.
    pub operator_accepts: usize,
    /// The last error for which the system could not accept a client.
    pub refusal: Option<io::Error>,
}

impl Listeners {
    /// The listeners of `listeners`. Those of `local` are accepted in another place, but count for the division of
    /// the slots.
    pub fn new(
        listeners: Vec<(TcpListener, Preface)>,
        local: &[(UnixListener, Preface)],
        limits: &WireLimits,
    ) -> Listeners {
        let prefaces =
            listeners.iter().map(|(_, preface)| preface).chain(local.iter().map(|(_, preface)| preface));
        let uses = prefaces.map(|preface| preface.port_use);
        let operators = uses.filter(|port_use| *port_use == PortUse::Operators).count();
        let slots = limits.connections as usize;
        // Each listener can have one accept in flight, and one more connection.
        let needed = (2 * operators).min(slots / 2);
        let reserved = if operators == 0 { 0 } else { (limits.reserved as usize).max(needed) };
        Listeners {
            all: listeners.into_iter().map(|(socket, preface)| (Listener::new(socket), preface)).collect(),
            first: 0,
            reserved,
            for_operators: (slots / 2).max(reserved),
            operator_accepts: (reserved / (2 * operators.max(1))).clamp(1, ACCEPTS),
            refusal: None,
        }
    }

    /// Accepts in flight for `port_use`.
    pub fn in_flight(&self, port_use: PortUse) -> usize {
        let of_use = self.all.iter().filter(|(_, preface)| preface.port_use == port_use);
        of_use.map(|(listener, _)| listener.in_flight()).sum()
    }
}

/// Whether the system lacks a descriptor or memory for one more client.
pub(super) fn is_exhausted(error: &io::Error) -> bool {
    let exhausted = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| exhausted.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_without_listeners_for_operators_has_all_its_slots_for_clients() {
        let limits = WireLimits { connections: 40, reserved: 8, backlog_bytes: 0, backlog_bytes_total: 0 };
        let sharing = |listeners| Listeners::new(listeners, &[], &limits);
        let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(sharing(vec![(listener(), Preface::default())]).reserved, 0);
        let operators = || Preface { port_use: PortUse::Operators, ..Preface::default() };
        assert_eq!(sharing(vec![(listener(), operators())]).reserved, 8);
        // Each of many listeners has its share.
        let many = sharing((0..9).map(|_| (listener(), operators())).collect());
        assert_eq!((many.reserved, many.operator_accepts), (18, 1));
    }
}
