//! How the simulated kernel handles operations. An operation that cannot finish at once waits here, with the socket
//! it is for, until [`Kernel::work`] can finish it: as under DEFER_TASKRUN, nothing is posted before the core asks.

use super::buffers::ProvidedBuffers;
use super::chime::Chime;
use super::installed::{identity, install, installed};
use crate::ids::Slot;
use crate::simulation::{Listener, Observer, Random, Stream, World};
use crate::wire::operation::{Completion, Operation, REST_MS};
use socket2::{SockAddr, SockAddrStorage};
use std::cell::RefCell;
use std::io;
use std::os::fd::RawFd;
use std::rc::{Rc, Weak};
use std::time::Duration;

/// Of 100 sends, this many are cut or refused though there is room.
const FALL_SHORT: u64 = 4;
/// Of 100 operations that could finish, this many finish later, unless they could for longer than [`FRESH`].
const LATE: u64 = 10;
const FRESH: Duration = Duration::from_millis(1);
/// Of 100 receives that get data, this many end though nothing is wrong.
const STOP: u64 = 3;
/// Of 100 receives that could get data, this many find no buffer.
const NO_BUFFER: u64 = 1;
/// Of 100 queries for unacknowledged bytes, this many fail.
const UNKNOWN: u64 = 5;
/// Completions that are posted at once; about as many as Linux posts since 6.14.
const AT_ONCE: usize = 20;
/// IORING_CQE_F_BUFFER, IORING_CQE_F_MORE, IORING_CQE_BUFFER_SHIFT.
const BUFFER: u32 = 1;
const MORE: u32 = 1 << 1;
const BUFFER_SHIFT: u32 = 16;

pub(super) struct Kernel {
    world: Rc<World>,
    own: Weak<RefCell<Kernel>>,
    slots: Vec<Option<Rc<Stream>>>,
    accepts: Vec<Accept>,
    receives: Vec<Receive>,
    sends: Vec<Send>,
    /// The tokens of rests.
    rests: Vec<u64>,
    /// Completions that are not posted yet.
    finished: Vec<Completion>,
    posted: Vec<Completion>,
    pub buffers: Option<ProvidedBuffers>,
    pub chime: Option<Rc<Chime>>,
    pub is_silent: bool,
    /// More completions could be posted than are posted at once.
    pub has_more: bool,
    /// The flag for more completions is set although there are none; it stays set until something is posted.
    pub has_stale_flag: bool,
    /// Called when waiting operations may be able to finish.
    observer: Observer,
}

struct Accept {
    token: u64,
    listener: Listener,
    address: *mut SockAddrStorage,
    length: *mut libc::socklen_t,
}

struct Receive {
    token: u64,
    socket: Rc<Stream>,
    /// The receive ends after one buffer.
    is_once: bool,
}

struct Send {
    token: u64,
    socket: Rc<Stream>,
    data: *const u8,
    length: usize,
}

impl Kernel {
    pub fn new(world: Rc<World>, slots: u32) -> Rc<RefCell<Kernel>> {
        Rc::new_cyclic(|own: &Weak<RefCell<Kernel>>| {
            let kernel = own.clone();
            let observer: Observer = Rc::new(move || {
                kernel.upgrade().iter().for_each(|kernel| kernel.borrow().notice());
            });
            RefCell::new(Kernel {
                world,
                own: own.clone(),
                slots: vec![None; slots as usize],
                accepts: Vec::new(),
                receives: Vec::new(),
                sends: Vec::new(),
                rests: Vec::new(),
                finished: Vec::new(),
                posted: Vec::new(),
                buffers: None,
                chime: None,
                is_silent: false,
                has_more: false,
                has_stale_flag: false,
                observer,
            })
        })
    }

    /// Begins an operation, and finishes it at once if it need not wait.
    ///
    /// # Safety
    /// As for [`crate::wire::ring::Ring::push`].
    pub unsafe fn begin(&mut self, operation: Operation, token: u64) {
        match operation {
            Operation::Accept { listener, address, length } => {
                match identity(listener).and_then(Listener::of) {
                    Some(listener) => {
                        listener.observe(self.observer.clone());
                        self.accepts.push(Accept { token, listener, address, length });
                    }
                    None => self.finish(token, -libc::EBADF),
                }
            }
            Operation::Receive { slot } => self.begin_receive(slot, token, false),
            Operation::ReceiveOnce { slot } => self.begin_receive(slot, token, true),
            // SAFETY: the caller keeps the data until the submission returns.
            Operation::Send { slot, data, length } => unsafe {
                let data = std::slice::from_raw_parts(data, length as usize);
                self.send_now(slot, data, token);
            },
            Operation::PatientSend { slot, data, length } => match self.socket(slot) {
                Some(socket) => {
                    socket.observe(&self.observer);
                    self.sends.push(Send { token, socket, data, length: length as usize });
                }
                None => self.finish(token, -libc::EBADF),
            },
            Operation::Cancel { token: of } => {
                if !self.cancel(of) {
                    self.post(token, -libc::ENOENT, 0);
                }
            }
            Operation::Unread { .. } => self.post(token, -libc::EOPNOTSUPP, 0),
            Operation::Unacknowledged { slot } => {
                let is_unknown = self.dice(|dice| dice.chance(UNKNOWN));
                let socket = self.socket(slot).filter(|_| !is_unknown);
                self.post(token, socket.map_or(-libc::EOPNOTSUPP, |socket| socket.unread() as i32), 0);
            }
            Operation::Shutdown { slot } => self.shut_down_in_a_thread(slot, token),
            // Its close follows, and clients cannot tell a close from a reset.
            Operation::Reset { .. } => {}
            Operation::Close { slot } => {
                let socket = self.slots.get_mut(slot.index()).and_then(Option::take);
                if socket.is_none() {
                    self.post(token, -libc::EBADF, 0);
                }
            }
            Operation::Rest => self.rest(token),
            // No client in a simulation uses an ordinary descriptor.
            Operation::Watch { .. } => {}
            // SAFETY: the caller keeps the places until the completion was seen.
            Operation::MoveIn { places, count, first } => unsafe {
                let places = std::slice::from_raw_parts_mut(places, count as usize);
                self.move_in(places, first, token);
            },
            Operation::Install { slot } => {
                let socket = self.socket(slot).ok_or(libc::EBADF);
                let made = socket.and_then(|socket| install(&socket).map_err(|error| errno(&error)));
                self.post(token, made.unwrap_or_else(|error| -error), 0);
            }
        }
    }

    fn send_now(&mut self, slot: Slot, data: &[u8], token: u64) {
        let Some(socket) = self.socket(slot) else { return self.post(token, -libc::EBADF, 0) };
        let part = match self.dice(|dice| dice.chance(FALL_SHORT)) {
            true => &data[..self.dice(|dice| dice.below(data.len()))],
            false => data,
        };
        let outcome = match part.is_empty() {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => socket.try_write(part),
        };
        match outcome {
            Ok(sent) if sent == data.len() => {}
            Ok(sent) => self.post(token, sent as i32, 0),
            Err(error) => self.post(token, -errno(&error), 0),
        }
    }

    /// Cancels the operation with token `of`; returns whether it was found.
    fn cancel(&mut self, of: u64) -> bool {
        // Data that has arrived by now may still be received.
        if self.dice(|dice| dice.chance(30)) {
            self.work();
        }
        let receives = self.receives.extract_if(.., |receive| receive.token == of);
        let receives = receives.map(|_| -libc::ECANCELED);
        let sends = self.sends.extract_if(.., |send| send.token == of);
        let sends = sends.map(|_| -libc::ECANCELED);
        let accepts = self.accepts.extract_if(.., |accept| accept.token == of);
        let accepts = accepts.map(|_| -libc::ECANCELED);
        let rests = self.rests.extract_if(.., |rest| *rest == of).map(|_| -libc::ECANCELED);
        let ended: Vec<i32> = receives.chain(sends).chain(accepts).chain(rests).collect();
        debug_assert!(ended.len() <= 1, "a token stands for two operations");
        ended.iter().for_each(|result| self.finish(of, *result));
        !ended.is_empty()
    }

    fn rest(&mut self, token: u64) {
        self.rests.push(token);
        self.after(Duration::from_millis(REST_MS.into()), move |kernel| {
            if kernel.rests.extract_if(.., |rest| *rest == token).next().is_some() {
                kernel.finish(token, -libc::ETIME);
            }
        });
    }

    /// Puts the sockets that the descriptors in `places` stand for into free slots.
    fn move_in(&mut self, places: &mut [RawFd], first: Option<Slot>, token: u64) {
        let mut moved = 0;
        for (index, place) in places.iter_mut().enumerate() {
            let free = match first {
                Some(first) => Some(first.index() + index).filter(|slot| *slot < self.slots.len()),
                None => self.slots.iter().position(Option::is_none),
            };
            let (Some(free), Some(socket)) = (free, installed(*place)) else { break };
            self.slots[free] = Some(socket);
            *place = free as RawFd;
            moved += 1;
        }
        self.post(token, if moved == 0 { -libc::EINVAL } else { moved }, 0);
    }

    /// A shutdown may block, so the kernel runs it in a thread, which looks up the slot when it gets to it.
    fn shut_down_in_a_thread(&mut self, slot: Slot, token: u64) {
        let delay = Duration::from_micros(self.dice(|dice| dice.within(1..500)));
        self.after(delay, move |kernel| {
            let socket = kernel.socket(slot);
            socket.iter().for_each(|socket| socket.shut_down());
            kernel.finish(token, if socket.is_some() { 0 } else { -libc::EBADF });
        });
    }

    /// Finishes operations that can finish, or some of them, and posts their completions.
    pub fn work(&mut self) {
        let most = self.posted.len() + self.dice(|dice| 1 + dice.below(AT_ONCE));
        self.has_more = false;
        let finished = std::mem::take(&mut self.finished);
        let posts_first = self.dice(|dice| dice.chance(50));
        if posts_first {
            self.posted.extend_from_slice(&finished);
        }
        self.accept(most);
        self.receive(most);
        self.send(most);
        if !posts_first {
            self.posted.extend(finished);
        }
        if self.dice(|dice| dice.chance(10)) {
            self.has_stale_flag = true;
        } else if !self.posted.is_empty() {
            self.has_stale_flag = false;
        }
    }

    fn accept(&mut self, most: usize) {
        let mut index = 0;
        while let Some(accept) = self.accepts.get(index) {
            let has_arrivals = accept.listener.has_arrivals();
            if !has_arrivals || self.is_enough(most) || self.is_late(self.world.elapsed()) {
                index += 1;
                continue;
            }
            let free: Vec<usize> = (0..self.slots.len()).filter(|slot| self.slots[*slot].is_none()).collect();
            let Accept { token, listener, address, length } = self.accepts.remove(index);
            if free.is_empty() {
                self.post(token, -libc::ENFILE, 0);
                continue;
            }
            let Some(arrival) = listener.try_accept() else { continue };
            let slot = self.dice(|dice| if dice.chance(50) { free[0] } else { *dice.pick(&free) });
            self.slots[slot] = Some(Rc::new(arrival.stream));
            let peer = SockAddr::from(arrival.peer);
            // SAFETY: the code that pushed the accept keeps the memory for address and length until the accept has
            // finished.
            unsafe {
                *length = peer.len();
                *address = peer.as_storage();
            }
            self.post(token, slot as i32, 0);
        }
    }

    fn begin_receive(&mut self, slot: Slot, token: u64, is_once: bool) {
        match self.socket(slot) {
            Some(socket) => {
                socket.observe(&self.observer);
                self.receives.push(Receive { token, socket, is_once });
            }
            None => self.finish(token, -libc::EBADF),
        }
    }

    fn receive(&mut self, most: usize) {
        let receives = std::mem::take(&mut self.receives);
        for receive in receives {
            let is_ready = receive.socket.is_readable()
                && !self.is_enough(most)
                && !self.is_late(receive.socket.arrived_at());
            if !is_ready || self.receive_on(&receive) {
                self.receives.push(receive);
            }
        }
    }

    /// Continues a receive, and returns whether it goes on.
    fn receive_on(&mut self, receive: &Receive) -> bool {
        loop {
            let (stops, no_buffer) = self.dice(|dice| (dice.chance(STOP), dice.chance(NO_BUFFER)));
            let cut = self.dice(|dice| if dice.chance(50) { usize::MAX } else { 1 + dice.below(60) });
            let Some(buffer) = self.buffers.as_mut().filter(|_| !no_buffer).and_then(|all| all.take()) else {
                self.post(receive.token, -libc::ENOBUFS, 0);
                return false;
            };
            let room = buffer.memory.len().min(cut);
            let outcome = receive.socket.try_read(&mut buffer.memory[..room]);
            let flags = BUFFER | (u32::from(buffer.id) << BUFFER_SHIFT);
            match outcome {
                Ok(0) => self.post(receive.token, 0, flags),
                Ok(count) if stops || receive.is_once => self.post(receive.token, count as i32, flags),
                Ok(count) => {
                    self.post(receive.token, count as i32, flags | MORE);
                    match receive.socket.is_readable() {
                        true => continue,
                        false => return true,
                    }
                }
                Err(error) => {
                    self.buffers.iter_mut().for_each(ProvidedBuffers::take_back);
                    self.post(receive.token, -errno(&error), 0);
                }
            }
            return false;
        }
    }

    fn send(&mut self, most: usize) {
        let sends = std::mem::take(&mut self.sends);
        for send in sends {
            if !send.socket.is_writable() || self.is_enough(most) || self.is_late(self.world.elapsed()) {
                self.sends.push(send);
                continue;
            }
            // SAFETY: the code that pushed the send keeps its data until the send has finished.
            let data = unsafe { std::slice::from_raw_parts(send.data, send.length) };
            match send.socket.try_write(data) {
                Ok(sent) => self.post(send.token, sent as i32, 0),
                Err(error) => self.post(send.token, -errno(&error), 0),
            }
        }
    }

    /// Rings the doorbell if an operation can finish.
    pub fn notice(&self) {
        let can_finish = !self.finished.is_empty()
            || !self.posted.is_empty()
            || self.accepts.iter().any(|accept| accept.listener.has_arrivals())
            || self.receives.iter().any(|receive| receive.socket.is_readable())
            || self.sends.iter().any(|send| send.socket.is_writable());
        if let Some(chime) = self.chime.as_ref().filter(|_| can_finish && !self.is_silent) {
            chime.ring();
        }
    }

    pub fn take_posted(&mut self) -> impl Iterator<Item = Completion> {
        self.posted.drain(..)
    }

    /// Lists what remains. Nothing should remain when all clients are gone.
    pub fn leftovers(&self) -> Vec<String> {
        let sockets = self.slots.iter().filter(|slot| slot.is_some()).count();
        let buffers = self.buffers.as_ref().map_or(0, |buffers| usize::from(buffers.taken()));
        let counts = [
            ("open sockets", sockets),
            ("receives in flight", self.receives.len()),
            ("sends in flight", self.sends.len()),
            ("buffers not lent", buffers),
        ];
        counts.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{count} {what}")).collect()
    }

    /// Whether no more is posted now, although more could be.
    fn is_enough(&mut self, most: usize) -> bool {
        let is_enough = self.posted.len() >= most;
        self.has_more |= is_enough;
        is_enough
    }

    /// Whether an operation that can finish since `since` is delayed. The core is notified of it later.
    fn is_late(&self, since: Duration) -> bool {
        let is_fresh = self.world.elapsed() - since < FRESH;
        let is_late = is_fresh && self.dice(|dice| dice.chance(LATE));
        if is_late {
            let observer = self.observer.clone();
            let delay = Duration::from_micros(self.dice(|dice| dice.within(1..300)));
            self.world.after(delay, move || observer());
        }
        is_late
    }

    fn after(&self, delay: Duration, happen: impl FnOnce(&mut Kernel) + 'static) {
        let own = self.own.clone();
        self.world.after(delay, move || {
            let Some(kernel) = own.upgrade() else { return };
            happen(&mut kernel.borrow_mut());
            kernel.borrow().notice();
        });
    }

    fn socket(&self, slot: Slot) -> Option<Rc<Stream>> {
        self.slots.get(slot.index()).cloned().flatten()
    }

    fn finish(&mut self, token: u64, result: i32) {
        self.finished.push(Completion { token, result, flags: 0 });
    }

    fn post(&mut self, token: u64, result: i32, flags: u32) {
        self.posted.push(Completion { token, result, flags });
    }

    fn dice<T>(&self, throw: impl FnOnce(&mut Random) -> T) -> T {
        self.world.dice(throw)
    }
}

fn errno(error: &io::Error) -> i32 {
    match error.kind() {
        io::ErrorKind::WouldBlock => libc::EAGAIN,
        io::ErrorKind::BrokenPipe => libc::EPIPE,
        io::ErrorKind::TimedOut => libc::ETIMEDOUT,
        _ => libc::ECONNRESET,
    }
}
