//! Ends listening without resetting anybody who has begun to connect. A listening socket that is closed resets all
//! connections in its queue, and all connections whose handshake is under way. So listening ends in two steps.
//!
//! 1. [`Wire::stop_listening`] has the kernel drop every packet that begins a connection (SYN), by a filter on the
//!    listening socket. Handshakes that are under way go on, and clients are accepted as before. A client whose first packet
//!    was dropped sends it again after a second, and reaches whoever listens on the port by then.
//! 2. [`Wire::close_listeners`] closes each socket when its queue is empty and no accept is in flight. The caller waits
//!    before this for as long as a handshake may take.
//!
//! A socket that a service manager has handed over stays open there, with its queue. It gets no filter, which the next
//! process would have too; accepting just ends.
//!
//! A Unix socket has no handshakes: nobody can begin to connect once its file is removed, which the caller does before
//! the first step.

use super::admission::PortUse;
use super::events::Wire;
use super::listener::Listener;
use super::local_clients::LocalListener;
use super::ring::Ring;
use super::token::{Kind, Token};
use crate::ids::Slot;
use socket2::{SockFilter, SockRef};
use std::os::fd::AsRawFd;

impl Wire {
    /// From now on nobody can begin to connect to a TCP port of `port_use`. Clients in the queue of a socket that another
    /// process has too are left to that process.
    pub fn stop_listening(&mut self, port_use: PortUse) {
        let listeners = self.listeners.all.iter().filter(|(_, preface)| preface.port_use == port_use);
        let own = listeners.filter(|(_, preface)| !preface.is_shared);
        for socket in own.filter_map(|(listener, _)| listener.socket()) {
            if let Err(error) = SockRef::from(socket).attach_filter(&NO_SYN) {
                tracing::warn!(%error, "clients that connect while their port is being closed may be reset");
            }
        }
        self.close_each(port_use, false);
    }

    /// Closes the listening sockets of `port_use` whose queues are empty. Returns whether none is left. The caller calls
    /// this again until then; meanwhile clients in the queues are accepted.
    pub fn close_listeners(&mut self, port_use: PortUse) -> bool {
        self.close_each(port_use, true);
        let mut of_tcp = self.listeners.all.iter().filter(|(_, preface)| preface.port_use == port_use);
        let mut local = self.local.listeners.iter().filter(|listener| listener.port_use == port_use);
        let mut moving = self.local.moving.values().filter(|moving| moving.port_use == port_use);
        let is_closed = of_tcp.all(|(listener, _)| listener.socket().is_none());
        is_closed && local.all(|listener| listener.socket.is_none()) && moving.next().is_none()
    }

    /// Leaves the listening sockets of a quiet wire to another process, which has them too: closes them here, without
    /// touching their queues.
    pub fn leave_listeners(&mut self) {
        for (listener, _) in &mut self.listeners.all {
            if let Some(descriptor) = listener.socket().map(AsRawFd::as_raw_fd) {
                self.ring.forget_listener(descriptor);
            }
            listener.close();
        }
        self.local.listeners.iter_mut().for_each(|listener| listener.socket = None);
    }

    /// Closes the listeners of `port_use` that can be closed; those of this process alone only if `own` is true.
    fn close_each(&mut self, port_use: PortUse, own: bool) {
        let is_chosen = |of: PortUse, is_shared: bool| of == port_use && (own || is_shared);
        for index in 0..self.listeners.all.len() {
            let Some((listener, preface)) = self.listeners.all.get_mut(index) else { return };
            if is_chosen(preface.port_use, preface.is_shared) {
                let accepts = listener.close_if_empty(&self.ring, preface.is_shared);
                accepts.into_iter().for_each(|accept| self.cancel_accept(index, accept));
            }
        }
        for index in 0..self.local.listeners.len() {
            let Some(listener) = self.local.listeners.get_mut(index) else { return };
            if is_chosen(listener.port_use, listener.is_shared) && listener.close_if_empty(&self.ring) {
                self.cancel_token(Token { kind: Kind::Knock, generation: 0, slot: Slot(index as u32) });
            }
        }
    }
}

impl Listener {
    /// Closes the socket if its queue is empty, or outlives this process (`is_shared`), and no accept is in flight. If
    /// accepts are in flight, returns them to be cancelled, and no more are begun; if there are clients in the queue,
    /// accepts are begun again.
    fn close_if_empty(&mut self, ring: &Ring, is_shared: bool) -> Vec<usize> {
        let Some(descriptor) = self.socket().map(AsRawFd::as_raw_fd) else { return Vec::new() };
        self.is_closing = is_shared || !ring.has_arrivals(descriptor);
        if self.is_closing && self.in_flight() == 0 {
            ring.forget_listener(descriptor);
            self.close();
        }
        if self.is_closing { self.accepts_in_flight().collect() } else { Vec::new() }
    }
}

impl LocalListener {
    /// Closes the socket if its queue is empty, or outlives this process. Returns whether a poll is to be cancelled.
    fn close_if_empty(&mut self, ring: &Ring) -> bool {
        let Some(socket) = &self.socket else { return false };
        if !self.is_shared && ring.has_arrivals(socket.as_raw_fd()) {
            return false;
        }
        self.socket = None;
        std::mem::take(&mut self.is_watched)
    }
}

/// Drops packets with the flag SYN, and lets all others pass. The kernel hands the filter a packet from its TCP header
/// on; the flags are in byte 13. Connections that are accepted have the filter too, and get no such packets.
const NO_SYN: [SockFilter; 4] = [
    SockFilter::new((libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16, 0, 0, 13),
    SockFilter::new((libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16, 0, 1, 0x02),
    SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0),
    SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, u32::MAX),
];
