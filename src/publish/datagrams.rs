//! Takes datagrams and sends their items to the homes of their channels. Nothing waits here: items without room are
//! dropped and counted. Unix sockets are an exception: while there is no room they are not read, so their senders wait.
//! A turn takes only a few batches, so clients wait no longer than about half a millisecond.
//!
//! Every datagram that was sent is counted once: as published, bad, dropped here, or dropped by the kernel.

use super::{Admitted, Publishing, Refused};
use crate::context::Life;
use crate::ingest::{self, DatagramError, GATHER_US, Pace};
use crate::proto::grip::Publication;
use crate::runtime;
use crate::wire::{Batch, Datagram, DatagramSocket};
use std::rc::Rc;
use std::time::Duration;

/// Batches taken from each socket in one turn.
const BATCHES: usize = 4;

/// The datagram sockets of a core.
pub(super) struct Datagrams {
    sockets: Vec<(DatagramSocket, Pace)>,
    batch: Batch,
    /// Empty between datagrams. It is kept so that its memory is allocated only once.
    items: Vec<Publication>,
    /// The error of the first bad datagram since the last log line.
    complaint: Option<DatagramError>,
    /// A task will wake the loop when the time of a waiting socket has come.
    is_timed: bool,
}

/// The outcomes of a batch of datagrams.
#[derive(Default)]
struct Counts {
    published: u64,
    bad: u64,
    dropped: u64,
}

/// Why a datagram was not published.
enum Loss {
    Bad(DatagramError),
    NoRoom,
}

impl From<Refused> for Loss {
    fn from(Refused { channel }: Refused) -> Loss {
        Loss::Bad(DatagramError::Scope(channel.to_string()))
    }
}

impl Datagrams {
    /// `None` without sockets, because most cores have none and need no memory for batches.
    pub fn new(sockets: Vec<DatagramSocket>) -> Option<Box<Datagrams>> {
        if sockets.is_empty() {
            return None;
        }
        Some(Box::new(Datagrams {
            sockets: sockets.into_iter().map(|socket| (socket, Pace::watched())).collect(),
            batch: Batch::new(),
            items: Vec::new(),
            complaint: None,
            is_timed: false,
        }))
    }
}

impl Publishing {
    /// Has the kernel report when the first datagrams arrive.
    pub fn watch_datagrams(&self) {
        let datagrams = self.datagrams.borrow();
        for (number, (socket, _)) in
            datagrams.iter().flat_map(|datagrams| datagrams.sockets.iter().enumerate())
        {
            self.clients.watch_datagrams(number as u32, socket);
        }
    }

    /// Leaves the datagram sockets to another process, which has them too.
    pub fn leave_datagrams(&self) {
        self.datagrams.take();
    }

    /// The kernel has reported datagrams on socket `number`.
    pub fn datagrams_arrived(&self, number: u32) {
        let now_us = self.context.clock.now_us();
        let mut datagrams = self.datagrams.borrow_mut();
        let sockets = datagrams.as_mut().map(|datagrams| &mut datagrams.sockets);
        if let Some((_, pace)) = sockets.and_then(|sockets| sockets.get_mut(number as usize)) {
            pace.arrived(now_us);
        }
    }

    /// Takes datagrams that have arrived, within the budget of a turn. Returns whether there were any.
    pub fn take_datagrams(self: &Rc<Self>) -> bool {
        if matches!(self.context.gate.life(), Life::Quiet | Life::HandedOver) {
            return false;
        }
        let Some(mut datagrams) = self.datagrams.take() else { return false };
        let mut busy = false;
        for number in 0..datagrams.sockets.len() {
            for _ in 0..BATCHES {
                if !self.take_batch(&mut datagrams, number) {
                    break;
                }
                busy = true;
            }
        }
        if datagrams.sockets.iter().any(|(_, pace)| pace.is_waiting()) && !datagrams.is_timed {
            datagrams.is_timed = true;
            self.look_again_in_task();
        }
        self.datagrams.replace(Some(datagrams));
        busy
    }

    /// Takes a batch from socket `number` if it is due. Returns whether it was.
    fn take_batch(self: &Rc<Self>, datagrams: &mut Datagrams, number: usize) -> bool {
        let Some((socket, pace)) = datagrams.sockets.get_mut(number) else { return false };
        if pace.is_watched() {
            return false;
        }
        let now_us = self.context.clock.now_us();
        if !pace.is_due(now_us) {
            return false;
        }
        if socket.is_local() && !self.all_homes_have_room() {
            pace.put_off(now_us);
            return false;
        }
        let more = match datagrams.batch.receive(socket) {
            Ok(more) => more,
            Err(error) => {
                tracing::warn!(core = self.context.id.0, %error, "datagrams could not be received; the next turns try again");
                pace.put_off(now_us);
                return false;
            }
        };
        // The senders of a Unix socket that was full continue as soon as it has room, so there is no reason to wait
        // until more datagrams gather.
        let more = more || (socket.is_local() && !datagrams.batch.is_empty());
        if pace.was_read(datagrams.batch.len(), more, now_us) {
            self.clients.watch_datagrams(number as u32, socket);
        }
        let is_local = socket.is_local();
        let mut counts = Counts::default();
        for datagram in datagrams.batch.datagrams() {
            match self.take_datagram(&datagram, is_local, &mut datagrams.items) {
                Ok(()) => counts.published += 1,
                Err(Loss::NoRoom) => counts.dropped += 1,
                Err(Loss::Bad(error)) => {
                    counts.bad += 1;
                    datagrams.complaint.get_or_insert(error);
                }
            }
        }
        self.count(&counts);
        true
    }

    fn take_datagram(
        self: &Rc<Self>,
        datagram: &Datagram<'_>,
        is_local: bool,
        items: &mut Vec<Publication>,
    ) -> Result<(), Loss> {
        let permits = self.context.permits();
        if let Some(sender) = datagram.sender
            && !permits.allow(sender)
        {
            return Err(Loss::Bad(DatagramError::Refused(sender)));
        }
        ingest::read(datagram, items).map_err(Loss::Bad)?;
        let read = std::mem::take(items);
        let admitted = match is_local {
            true => Admitted::all(read),
            false => Admitted::by(permits.by_udp(), read)?,
        };
        if self.publish_now(admitted, items) { Ok(()) } else { Err(Loss::NoRoom) }
    }

    fn count(&self, counts: &Counts) {
        self.context.metrics.datagrams_total.add(counts.published);
        self.context.metrics.bad_datagrams_total.add(counts.bad);
        self.context.metrics.dropped_datagrams_total.add(counts.dropped);
    }

    /// Starts a task that wakes the loop when the time of a waiting socket has come.
    fn look_again_in_task(self: &Rc<Self>) {
        let publishing = self.clone();
        runtime::spawn(async move {
            runtime::sleep(Duration::from_micros(GATHER_US)).await;
            if let Some(datagrams) = publishing.datagrams.borrow_mut().as_mut() {
                datagrams.is_timed = false;
            }
            publishing.context.wake();
        })
        .detach();
    }

    /// Counts the datagrams that the kernel has dropped since the last call.
    pub fn count_kernel_drops(&self) {
        let datagrams = self.datagrams.borrow();
        let sockets = datagrams.iter().flat_map(|datagrams| &datagrams.sockets);
        let drops: u64 = sockets.map(|(socket, _)| u64::from(socket.kernel_drops())).sum();
        self.context.metrics.kernel_dropped_datagrams_total.add(drops);
    }

    /// Logs datagrams that could not be published. Called once a second.
    pub fn tell_of_datagrams(&self) {
        let core = self.context.id.0;
        let bad = self.reported_bad.of(&self.context.metrics.bad_datagrams_total);
        let complaint = self.datagrams.borrow_mut().as_mut().and_then(|datagrams| datagrams.complaint.take());
        if let Some(first) = complaint {
            tracing::warn!(core, datagrams = bad, %first, "datagrams were not published; `first` is the first error");
        }
    }
}
