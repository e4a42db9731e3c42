//! Clients that connect through Unix sockets. The credentials of a client can only be read from an ordinary
//! descriptor. So clients are accepted with ordinary system calls when the ring reports one, and are then moved into
//! the ring's table of direct descriptors, where they are connections like all others.

use super::admission::PortUse;
use super::events::{Wire, WireEvent};
use super::listeners::is_exhausted;
use super::local_clients::Moving;
use super::operation::Operation;
use super::slots::flag;
use super::socket_file::Credentials;
use super::token::{Kind, Token};
use crate::ids::Slot;
use std::os::fd::{AsRawFd, RawFd};

/// Clients that are accepted each time a listener becomes readable.
const ACCEPTS: usize = 16;

impl Wire {
    /// Watches the listeners for `port_use` that are not watched. Called while there are free slots for this use;
    /// otherwise clients wait in the kernel's queue.
    pub(super) fn watch_local_listeners(&mut self, port_use: PortUse) {
        for index in 0..self.local.listeners.len() {
            let Some(listener) = self.local.listeners.get_mut(index) else { return };
            let Some(socket) = &listener.socket else { continue };
            let descriptor = socket.as_raw_fd();
            if listener.port_use == port_use && !std::mem::replace(&mut listener.is_watched, true) {
                self.watch(Kind::Knock, index as u32, descriptor);
            }
        }
    }

    /// Accepts clients that connected when there was no free slot.
    pub(super) fn take_waiting_local(&mut self, port_use: PortUse) {
        for index in 0..self.local.listeners.len() {
            let listener = self.local.listeners.get(index);
            if listener.is_some_and(|listener| listener.is_waiting && listener.port_use == port_use) {
                self.knocked(index as u32);
            }
        }
    }

    /// Accepts the clients of listener `index`. The listener is watched again when there are free slots.
    pub(super) fn knocked(&mut self, index: u32) {
        let Some(port_use) = self.local.listeners.get(index as usize).map(|listener| listener.port_use)
        else {
            return;
        };
        if self.stillness.listeners {
            return self.stop_watching(index);
        }
        let most = self.room(port_use).min(ACCEPTS);
        let Some(listener) = self.local.listeners.get_mut(index as usize) else { return };
        listener.is_watched = false;
        listener.is_waiting = most == 0;
        let Some(socket) = &listener.socket else { return };
        let (mut come, mut refusal) = (Vec::new(), None);
        while come.len() < most && refusal.is_none() {
            match socket.accept() {
                Ok((stream, _)) => come.push(stream),
                Err(error) => refusal = Some(error),
            }
        }
        if let Some(error) = refusal.filter(is_exhausted) {
            listener.is_watched = true;
            self.rest(Token { kind: Kind::Knock, generation: 0, slot: Slot(index) }, error);
        }
        for stream in come {
            // A client whose credentials cannot be read is closed, and so is a client beyond a limit.
            let Ok(peer) = Credentials::of_peer(&stream) else { continue };
            let Ok(entry_id) = self.admission.admit(None, false) else { continue };
            self.move_in(Moving {
                place: vec![stream.as_raw_fd()],
                _stream: stream,
                listener: index as usize,
                peer,
                entry_id,
                port_use,
            });
        }
    }

    /// Records that listener `index` is not watched. While the wire is quiet, its clients wait in the kernel's queue.
    fn stop_watching(&mut self, index: u32) {
        if let Some(listener) = self.local.listeners.get_mut(index as usize) {
            listener.is_watched = false;
        }
    }

    fn move_in(&mut self, mut moving: Moving) {
        self.local.moved = self.local.moved.wrapping_add(1);
        let id = self.local.moved;
        let operation = Operation::MoveIn { places: moving.place.as_mut_ptr(), count: 1, first: None };
        let token = Token { kind: Kind::MoveIn, generation: 0, slot: Slot(id) };
        self.local.moving.insert(id, moving);
        // SAFETY: the memory stays in the map until the completion was seen.
        unsafe { self.push(operation, token.pack()) };
    }

    /// Opens the connection of client `id`, whose descriptor the kernel has copied, or drops the client if it was not
    /// copied.
    pub(super) fn moved_in(&mut self, id: u32, result: i32) {
        let Some(moving) = self.local.moving.remove(&id) else { return };
        let slot = moving.place.first().and_then(|slot| u32::try_from(*slot).ok()).map(Slot);
        let Some(slot) = slot.filter(|_| result == 1) else { return self.admission.forget(moving.entry_id) };
        debug_assert!(!self.slots.has(slot, flag::OPEN), "the kernel gave out a descriptor that is in use");
        self.open += 1;
        self.slots.set(slot, flag::OPEN);
        self.admission.hold(slot, moving.entry_id, moving.port_use);
        self.arm_receive(slot);
        let Moving { listener, peer, .. } = moving;
        self.events.push_back(WireEvent::AcceptedLocal { slot, listener, peer });
    }

    /// Reports once, as a completion of `kind`, that `descriptor` is readable.
    pub(super) fn watch(&mut self, kind: Kind, index: u32, descriptor: RawFd) {
        let token = Token { kind, generation: 0, slot: Slot(index) };
        // SAFETY: a poll points to nothing.
        unsafe { self.push(Operation::Watch { descriptor }, token.pack()) };
    }
}
