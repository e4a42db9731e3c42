//! Datagrams on their way to the homes of their channels. Nothing waits here: what finds no room is dropped and
//! counted, except on sockets of this machine, which are not read meanwhile, so that their senders wait. A turn takes a
//! few batches, so that clients wait no longer than about half a millisecond.
//!
//! Every datagram that was sent is counted once: as published, bad, dropped here, or dropped by the kernel.

use super::Core;
use crate::channel::Publication;
use crate::ingest::{self, DatagramError, GATHER_US, Pace};
use crate::runtime;
use crate::wire::{Batch, Datagram, DatagramSocket};
use std::rc::Rc;
use std::time::Duration;

/// Batches taken from each socket in one turn.
const BATCHES: usize = 4;

/// The datagram sockets of a core.
pub(super) struct Ingest {
    sockets: Vec<(DatagramSocket, Pace)>,
    batch: Batch,
    /// Empty between datagrams; kept for its memory.
    items: Vec<Publication>,
    /// What was wrong with the first bad datagram that the operator has not heard of.
    complaint: Option<DatagramError>,
    /// Someone will look again when the time of a waiting socket has come.
    is_timed: bool,
}

/// What became of the datagrams of a batch.
#[derive(Default)]
struct Tally {
    published: u64,
    bad: u64,
    dropped: u64,
}

/// Why a datagram was not published.
enum Loss {
    Bad(DatagramError),
    NoRoom,
}

impl Ingest {
    /// `None` without sockets: most cores of most servers need no memory for batches.
    pub fn new(sockets: Vec<DatagramSocket>) -> Option<Box<Ingest>> {
        if sockets.is_empty() {
            return None;
        }
        Some(Box::new(Ingest {
            sockets: sockets.into_iter().map(|socket| (socket, Pace::watched())).collect(),
            batch: Batch::new(),
            items: Vec::new(),
            complaint: None,
            is_timed: false,
        }))
    }
}

impl Core {
    /// Lets the kernel say when the first datagrams arrive.
    pub(super) fn watch_datagrams(&self) {
        let ingest = self.ingest.borrow();
        let mut wire = self.wire.borrow_mut();
        for (number, (socket, _)) in ingest.iter().flat_map(|ingest| ingest.sockets.iter().enumerate()) {
            wire.watch_datagrams(number as u32, socket);
        }
    }

    /// The kernel said that datagrams arrived.
    pub(super) fn datagrams_arrived(&self, number: u32) {
        let now_us = self.now_us();
        let mut ingest = self.ingest.borrow_mut();
        let sockets = ingest.as_mut().map(|ingest| &mut ingest.sockets);
        if let Some((_, pace)) = sockets.and_then(|sockets| sockets.get_mut(number as usize)) {
            pace.arrived(now_us);
        }
    }

    /// Takes what has arrived, within the budget of a turn; whether there was anything.
    pub(super) fn take_datagrams(self: &Rc<Self>) -> bool {
        let Some(mut ingest) = self.ingest.take() else { return false };
        let mut busy = false;
        for number in 0..ingest.sockets.len() {
            for _ in 0..BATCHES {
                if !self.take_batch(&mut ingest, number) {
                    break;
                }
                busy = true;
            }
        }
        if ingest.sockets.iter().any(|(_, pace)| pace.is_waiting()) && !ingest.is_timed {
            ingest.is_timed = true;
            self.look_again_in_task();
        }
        self.ingest.replace(Some(ingest));
        busy
    }

    /// Takes a batch from socket `number` if it is due; whether it was.
    fn take_batch(self: &Rc<Self>, ingest: &mut Ingest, number: usize) -> bool {
        let Some((socket, pace)) = ingest.sockets.get_mut(number) else { return false };
        if pace.is_watched() {
            return false;
        }
        let now_us = self.now_us();
        if !pace.is_due(now_us) {
            return false;
        }
        if socket.is_local() && !self.all_homes_have_room() {
            pace.put_off(now_us);
            return false;
        }
        let more = match ingest.batch.receive(socket) {
            Ok(more) => more,
            Err(error) => {
                tracing::warn!(core = self.id.0, %error, "datagrams cannot be received");
                pace.put_off(now_us);
                return false;
            }
        };
        // Senders that are made to wait go on as soon as there is room: nothing would gather meanwhile.
        let more = more || (socket.is_local() && !ingest.batch.is_empty());
        if pace.was_read(ingest.batch.len(), more, now_us) {
            self.wire.borrow_mut().watch_datagrams(number as u32, socket);
        }
        let is_local = socket.is_local();
        let mut tally = Tally::default();
        for datagram in ingest.batch.datagrams() {
            match self.take_datagram(&datagram, is_local, &mut ingest.items) {
                Ok(()) => tally.published += 1,
                Err(Loss::NoRoom) => tally.dropped += 1,
                Err(Loss::Bad(error)) => {
                    tally.bad += 1;
                    ingest.complaint.get_or_insert(error);
                }
            }
            ingest.items.clear();
        }
        self.count(&tally);
        true
    }

    fn take_datagram(
        self: &Rc<Self>,
        datagram: &Datagram<'_>,
        is_local: bool,
        items: &mut Vec<Publication>,
    ) -> Result<(), Loss> {
        if let Some(sender) = datagram.sender
            && !self.permits.borrow().allow(sender)
        {
            return Err(Loss::Bad(DatagramError::Refused(sender)));
        }
        ingest::read(datagram, items).map_err(Loss::Bad)?;
        if !is_local && let Some(channel) = self.permits.borrow().refused_by_udp(items) {
            return Err(Loss::Bad(DatagramError::Scope(channel.to_owned())));
        }
        if self.publish_now(items) { Ok(()) } else { Err(Loss::NoRoom) }
    }

    fn count(&self, tally: &Tally) {
        self.gauges.datagrams_total.add(tally.published);
        self.gauges.bad_datagrams_total.add(tally.bad);
        self.gauges.dropped_datagrams_total.add(tally.dropped);
    }

    /// Rings the loop when the time of a waiting socket has come.
    fn look_again_in_task(self: &Rc<Self>) {
        let core = self.clone();
        runtime::spawn(async move {
            runtime::sleep(Duration::from_micros(GATHER_US)).await;
            if let Some(ingest) = core.ingest.borrow_mut().as_mut() {
                ingest.is_timed = false;
            }
            core.wake();
        })
        .detach();
    }

    /// Adds what the kernel has dropped since the last call.
    pub(super) fn count_kernel_drops(&self) {
        let ingest = self.ingest.borrow();
        let sockets = ingest.iter().flat_map(|ingest| &ingest.sockets);
        let drops: u64 = sockets.map(|(socket, _)| u64::from(socket.kernel_drops())).sum();
        self.gauges.kernel_dropped_datagrams_total.add(drops);
    }

    /// What an operator should hear of datagrams that cannot be published, at most once a second.
    pub(super) fn tell_of_datagrams(&self) {
        let core = self.id.0;
        let bad = self.told.bad_datagrams.of(&self.gauges.bad_datagrams_total);
        let complaint = self.ingest.borrow_mut().as_mut().and_then(|ingest| ingest.complaint.take());
        if let Some(first) = complaint {
            tracing::warn!(core, datagrams = bad, %first, "datagrams that cannot be published");
        }
    }

    fn now_us(&self) -> u64 {
        runtime::now().duration_since(self.started).as_micros() as u64
    }
}
