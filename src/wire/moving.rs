//! Moves connections to another process, and takes connections from another process. Both processes have a wire that is
//! quiet. The process that has the connections gives each a descriptor (`install`) and writes down its state (`pack`);
//! the other process puts the sockets into its own ring (`adopt`) and their state in force (`unpack`). Until the first
//! process lets a connection go (`let_go`), it can go on with it instead.
//!
//! A socket that two processes have is not closed when one of them closes it. So to let a connection go is to close
//! its slot, and says nothing to the client.

use super::backlog::Backlog;
use super::events::Wire;
use super::operation::{Completion, Operation};
use super::packed_socket::PackedSocket;
use super::slots::flag;
use super::token::{Kind, Token};
use crate::ids::Slot;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// The place of a connection in its process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Place {
    /// Its slot.
    pub slot: Slot,
    /// The slot's generation.
    pub generation: u32,
}

/// Connections could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// There are fewer free slots than connections.
    #[error(
        "{sockets} connections need slots, and {free} are free: set `connections_per_core` in [limits] to at least the value that the other process has, or `cores` to more"
    )]
    Slots {
        /// Connections to be taken over.
        sockets: usize,
        /// Free slots of this core.
        free: usize,
    },
    /// The kernel made no descriptor for a connection.
    #[error(
        "no descriptor can be made for a connection ({0}): Linux 6.8 and free descriptors (`ulimit -n`) are needed"
    )]
    Install(#[source] io::Error),
    /// The kernel did not put a socket into the ring.
    #[error("a connection of another process cannot be put into the ring for client sockets ({0})")]
    Adopt(#[source] io::Error),
}

/// In the process that has the connections.
impl Wire {
    /// Whether the connection in `slot` can move to another process: it is open, has no TLS session, is not virtual,
    /// does not wait for a header of the PROXY protocol, and is not just being shut down.
    pub fn can_move(&self, slot: Slot) -> bool {
        let is_plain = !self.slots.has_any(slot, flag::INDIRECT | flag::SHUTTING);
        is_plain && self.slots.has(slot, flag::OPEN) && !self.proxied.awaits(slot)
    }

    /// Makes ordinary descriptors for the sockets of `slots`, in their order. Each counts towards RLIMIT_NOFILE until it
    /// is closed. Started programs do not inherit them.
    ///
    /// # Errors
    /// [`MoveError::Install`], if the kernel makes no descriptor for one of the slots. Then there are none for the
    /// others either.
    pub fn install(&mut self, slots: &[Slot]) -> Result<Vec<OwnedFd>, MoveError> {
        self.flush();
        for (place, slot) in slots.iter().enumerate() {
            let token = Token { kind: Kind::Install, generation: 0, slot: Slot(place as u32) };
            // SAFETY: an install points to nothing.
            let pushed = unsafe { self.ring.push(Operation::Install { slot: *slot }, token.pack()) };
            pushed.map_err(MoveError::Install)?;
        }
        let completions = self.await_all(Kind::Install, slots.len()).map_err(MoveError::Install)?;
        let mut installed: Vec<Option<OwnedFd>> = slots.iter().map(|_| None).collect();
        let mut failure = None;
        for Completion { token, result, .. } in completions {
            let place = Token::unpack(token).and_then(|token| installed.get_mut(token.slot.index()));
            match place.filter(|_| result >= 0) {
                // SAFETY: the kernel has just made this descriptor for this operation, and nothing else owns it.
                Some(place) => *place = Some(unsafe { OwnedFd::from_raw_fd(result) }),
                None => failure = Some(io::Error::from_raw_os_error(-result)),
            }
        }
        match failure {
            Some(error) => Err(MoveError::Install(error)),
            None => Ok(installed.into_iter().flatten().collect()),
        }
    }

    /// The state of the connection in `slot`, besides its socket. The wire is quiet, and [`Wire::can_move`].
    pub fn pack(&self, slot: Slot) -> PackedSocket {
        debug_assert!(self.can_move(slot) && self.stillness.clients);
        // A field that is added is to be named here, and packed if it belongs to a connection that can move.
        let Wire {
            slots,
            metered,
            admission,
            // The whole wire's: its memory, its limits, and what is to be done in the next turn.
            ring: _,
            limits: _,
            buffers: _,
            queued: _,
            completions: _,
            events: _,
            is_behind: _,
            starved: _,
            unread: _,
            listeners: _,
            local: _,
            stillness: _,
            broken: _,
            // Of connections that are closed, or that cannot move.
            orphans: _,
            late_closes: _,
            proxied: _,
            secure: _,
            virtual_slots: _,
            // Counted anew in the other process: measurements, and connections that are open and paused.
            progress: _,
            open: _,
            paused: _,
        } = self;
        let flags = slots.flags(slot);
        debug_assert_eq!(flags & !(flag::OPEN | flag::PAUSED | flag::BACKLOGGED | flag::CORKED), 0);
        let (backlog, behind_cork) = slots.unsent(slot);
        PackedSocket {
            port_use: admission.port_use(slot),
            is_paused: flags & flag::PAUSED != 0,
            is_metered: metered.contains(&slot),
            is_corked: flags & flag::CORKED != 0,
            backlog,
            behind_cork,
        }
    }

    /// Frees `slot`, whose connection another process has taken over. Nothing is sent to the client, nothing is shut
    /// down, and no more events are made for the slot. A connection that cannot move is left as it is.
    pub fn let_go(&mut self, slot: Slot) {
        debug_assert!(self.can_move(slot));
        if self.can_move(slot) {
            self.close(slot);
        }
    }
}

/// In the process that takes connections over.
impl Wire {
    /// Puts `sockets` of another process into the slots `places` that they had there, as far as these are free, or else
    /// into others. Returns the slots in order. So ids of connections, which contain their places, stay what they are.
    /// Nothing is received before [`Wire::unpack`] has put the state of a slot in force, nor while the wire is quiet.
    /// The limits of connections do not apply, only the number of slots.
    ///
    /// # Errors
    /// [`MoveError::Slots`], if there are too few free slots; [`MoveError::Adopt`], if the kernel failed. Some of the
    /// sockets may be in the ring then, and the wire is of no use any more.
    pub fn adopt(&mut self, sockets: Vec<OwnedFd>, places: &[Place]) -> Result<Vec<Slot>, MoveError> {
        let free = self.free_slots();
        if sockets.len() > free {
            return Err(MoveError::Slots { sockets: sockets.len(), free });
        }
        let mut slots = Vec::with_capacity(sockets.len());
        let mut left = &sockets[..];
        while !left.is_empty() {
            let wanted = places.get(slots.len()..).unwrap_or_default();
            let kept = self.free_run(wanted).min(left.len());
            // Those that cannot have their places go one by one, so that they take no more places of others than needed.
            let (now, rest) = left.split_at(kept.max(1));
            let first = wanted.first().filter(|_| kept > 0);
            let moved = self.move_in_all(now, first.map(|place| place.slot)).map_err(MoveError::Adopt)?;
            for (index, slot) in moved.iter().enumerate() {
                debug_assert!(
                    !self.slots.has(*slot, flag::OPEN),
                    "a descriptor that is in use was given out"
                );
                self.open += 1;
                if let Some(place) = wanted.get(index).filter(|place| place.slot == *slot) {
                    self.slots.set_generation(*slot, place.generation);
                }
                self.slots.set(*slot, flag::OPEN);
            }
            slots.extend(moved);
            left = rest;
        }
        Ok(slots)
    }

    /// How many of `places`, from the first on, are free and follow each other.
    fn free_run(&self, places: &[Place]) -> usize {
        let Some(first) = places.first() else { return 0 };
        let is_next = |(index, place): &(usize, &Place)| {
            let slot = place.slot;
            slot.index() == first.slot.index() + index
                && slot.0 < self.limits.connections
                && !self.slots.has(slot, flag::OPEN)
        };
        places.iter().enumerate().take_while(is_next).count()
    }

    /// Puts `state` in force for `slot`, which was adopted just now and whose client is at `address`. The connection is
    /// counted for this address, beyond its limits too. The backlog is sent when the wire goes on, before everything
    /// that is sent later, and may be larger than the limits allow.
    pub fn unpack(&mut self, slot: Slot, state: PackedSocket, address: Option<IpAddr>) {
        let PackedSocket { port_use, is_paused, is_metered, is_corked, backlog, behind_cork } = state;
        let entry_id = self.admission.readmit(address);
        self.admission.hold(slot, entry_id, port_use);
        if is_metered {
            self.metered.insert(slot);
        }
        if is_paused {
            self.pause(slot);
        }
        if is_corked {
            self.cork(slot);
        }
        if let Some(backlog) = self.take_over(backlog) {
            self.slots.set(slot, flag::BACKLOGGED);
            self.slots.backlogs.insert(slot, backlog);
        }
        if let Some(corked) = self.take_over(behind_cork) {
            self.slots.corked.insert(slot, corked);
        }
        self.arm(slot);
    }

    /// A backlog of `slices`, if there are any. They count as unsent from now on.
    fn take_over(&mut self, slices: Vec<Bytes>) -> Option<Backlog> {
        let mut backlog = Backlog::default();
        slices.into_iter().filter(|slice| !slice.is_empty()).for_each(|slice| backlog.push(slice));
        self.slots.backlog_bytes += backlog.bytes();
        backlog.front().is_some().then_some(backlog)
    }

    /// Copies `sockets` into the ring's table of direct descriptors, all or none: from slot `first` on, or into free slots.
    fn move_in_all(&mut self, sockets: &[OwnedFd], first: Option<Slot>) -> io::Result<Vec<Slot>> {
        self.flush();
        let mut places: Vec<RawFd> = sockets.iter().map(AsRawFd::as_raw_fd).collect();
        let operation = Operation::MoveIn { places: places.as_mut_ptr(), count: places.len() as u32, first };
        let token = Token { kind: Kind::Adopt, generation: 0, slot: Slot(0) };
        // SAFETY: `places` stays until the completion was seen; if it is not seen, `places` is never freed.
        unsafe { self.ring.push(operation, token.pack())? };
        let completions = match self.await_all(Kind::Adopt, 1) {
            Ok(completions) => completions,
            Err(error) => {
                std::mem::forget(places);
                return Err(error);
            }
        };
        let result = completions.first().map_or(-libc::EIO, |completion| completion.result);
        let copied = places.get(..result.max(0) as usize).unwrap_or_default();
        let slots: Vec<Slot> = match first {
            Some(first) => (first.0..).take(copied.len()).map(Slot).collect(),
            None => copied.iter().map(|place| Slot(*place as u32)).collect(),
        };
        if slots.len() == sockets.len() {
            return Ok(slots);
        }
        for slot in slots {
            // SAFETY: a close points to nothing.
            unsafe { self.push(Operation::Close { slot }, self.slots.token(Kind::Close, slot)) };
        }
        // The kernel reports an error only if it copied none.
        Err(io::Error::from_raw_os_error(if result < 0 { -result } else { libc::ENFILE }))
    }

    /// Submits all queued operations, and returns the `count` completions of `kind`. The kernel runs such operations
    /// inside the call.
    fn await_all(&mut self, kind: Kind, count: usize) -> io::Result<Vec<Completion>> {
        let mut found = Vec::with_capacity(count);
        for _ in 0..CALLS {
            if found.len() >= count {
                return Ok(found);
            }
            let before = self.completions.len();
            self.ring.run_task_work()?;
            self.ring.reap(&mut self.completions);
            let is_of_kind = |completion: &mut Completion| {
                Token::unpack(completion.token).is_some_and(|token| token.kind == kind)
            };
            found.extend(self.completions.extract_if(before.., is_of_kind));
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

/// Calls of the kernel until operations that it runs at once must have been completed. Completions wait behind others
/// only if the ring's queue is full.
const CALLS: usize = 1_000;

#[cfg(test)]
mod tests;
