//! One direction of a connection. Bytes travel for a while, arrive in order, and wait to be read. As with the buffers
//! of two sockets, the number of unread bytes is bounded.

use crate::simulation::random::Random;
use crate::simulation::world::current;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

/// A function that is called after a change that its owner may want to look at.
pub type Observer = Rc<dyn Fn()>;

/// Capacities of pipes. Some are small, so that sends into them fall short.
const CAPACITIES: [usize; 5] = [200, 4_000, 64_000, 256_000, 256_000];

/// One direction of a connection.
pub(super) struct Pipe {
    state: RefCell<State>,
    reader: Side,
    writer: Side,
    /// The writer of the other direction, which cannot write when this direction has failed.
    opposite: Side,
}

/// A task and an observer that are notified of a change.
#[derive(Default)]
struct Side {
    waker: Cell<Option<Waker>>,
    observer: RefCell<Option<Observer>>,
}

struct State {
    arrived: VecDeque<u8>,
    /// The time when bytes last arrived.
    arrived_at: Duration,
    travelling: usize,
    capacity: usize,
    /// The arrival time of the bytes that were sent last: later bytes do not arrive earlier.
    latest: Duration,
    /// `is_ending`: the writer has ended the stream. `has_ended`: the end has arrived.
    is_ending: bool,
    has_ended: bool,
    /// The error, after the pipe has failed.
    failure: Option<io::ErrorKind>,
    /// The reader is gone.
    is_abandoned: bool,
    /// Bytes in transit are lost.
    swallows: bool,
}

/// A random travel time.
pub(super) fn delay(dice: &mut Random) -> Duration {
    Duration::from_micros(match dice.below(20) {
        0 => dice.within(1_000..60_000),
        _ => dice.within(10..400),
    })
}

impl Side {
    fn tell(&self) {
        self.waker.take().into_iter().for_each(Waker::wake);
        let observer = self.observer.borrow().clone();
        observer.iter().for_each(|observer| observer());
    }
}

impl Pipe {
    pub fn new() -> Rc<Pipe> {
        let capacity = current().map_or(CAPACITIES[0], |world| world.dice(|dice| *dice.pick(&CAPACITIES)));
        let state = State {
            arrived: VecDeque::new(),
            arrived_at: Duration::ZERO,
            travelling: 0,
            capacity,
            latest: Duration::ZERO,
            is_ending: false,
            has_ended: false,
            failure: None,
            is_abandoned: false,
            swallows: false,
        };
        Rc::new(Pipe {
            state: state.into(),
            reader: Side::default(),
            writer: Side::default(),
            opposite: Side::default(),
        })
    }

    pub fn observe_arrivals(&self, observer: Observer) {
        self.reader.observer.replace(Some(observer));
    }

    pub fn observe_room(&self, observer: Observer) {
        self.writer.observer.replace(Some(observer));
    }

    pub fn wait_for_arrivals(&self, waker: &Waker) {
        self.reader.waker.set(Some(waker.clone()));
    }

    pub fn wait_for_room(&self, waker: &Waker) {
        self.writer.waker.set(Some(waker.clone()));
    }

    pub fn wait_for_failure(&self, waker: &Waker) {
        self.opposite.waker.set(Some(waker.clone()));
    }

    pub fn is_readable(&self) -> bool {
        let state = self.state.borrow();
        !state.arrived.is_empty() || state.has_ended || state.failure.is_some()
    }

    /// The time when bytes last arrived.
    pub fn arrived_at(&self) -> Duration {
        self.state.borrow().arrived_at
    }

    pub fn failure(&self) -> Option<io::Error> {
        self.state.borrow().failure.map(io::Error::from)
    }

    pub fn has_room(&self) -> bool {
        let state = self.state.borrow();
        state.is_ending || state.arrived.len() + state.travelling < state.capacity
    }

    /// Bytes in transit or not read yet.
    pub fn unread(&self) -> usize {
        let state = self.state.borrow();
        state.arrived.len() + state.travelling
    }

    /// Reads bytes that have arrived. Bytes that arrived before a failure can still be read.
    ///
    /// # Errors
    /// The connection has failed, and all bytes from before are read; or nothing has arrived yet (`WouldBlock`).
    pub fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.borrow_mut();
        if state.arrived.is_empty() {
            return match state.failure {
                Some(failure) => Err(failure.into()),
                None if state.has_ended => Ok(0),
                None => Err(io::ErrorKind::WouldBlock.into()),
            };
        }
        let count = into.len().min(state.arrived.len());
        for (place, byte) in into.iter_mut().zip(state.arrived.drain(..count)) {
            *place = byte;
        }
        drop(state);
        self.writer.tell();
        Ok(count)
    }

    /// Sends bytes. `back` is the other direction, which fails if the reader of this one is gone.
    ///
    /// # Errors
    /// The connection is closed (`BrokenPipe`), or there is no room now (`WouldBlock`).
    pub fn write(self: &Rc<Self>, from: &[u8], back: &Rc<Pipe>) -> io::Result<usize> {
        let mut state = self.state.borrow_mut();
        if state.is_ending {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = state.capacity.saturating_sub(state.arrived.len() + state.travelling);
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let bytes = from[..from.len().min(room)].to_vec();
        let count = bytes.len();
        state.travelling += count;
        drop(state);
        let (pipe, back) = (self.clone(), back.clone());
        self.arrives(move || {
            let mut state = pipe.state.borrow_mut();
            if state.swallows {
                return;
            }
            state.travelling -= count;
            if state.is_abandoned {
                drop(state);
                return back.fail(io::ErrorKind::ConnectionReset, Duration::ZERO);
            }
            state.arrived.extend(bytes);
            drop(state);
            pipe.has_arrived();
        });
        Ok(count)
    }

    /// Ends the stream.
    pub fn end(self: &Rc<Self>) {
        if std::mem::replace(&mut self.state.borrow_mut().is_ending, true) {
            return;
        }
        let pipe = self.clone();
        self.arrives(move || {
            if pipe.state.borrow().swallows {
                return;
            }
            pipe.state.borrow_mut().has_ended = true;
            pipe.has_arrived();
        });
    }

    /// Makes the pipe fail after `patience`.
    pub fn fail(self: &Rc<Self>, failure: io::ErrorKind, patience: Duration) {
        self.state.borrow_mut().is_ending = true;
        let pipe = self.clone();
        let breaks = move || {
            if patience.is_zero() && pipe.state.borrow().swallows {
                return;
            }
            pipe.state.borrow_mut().failure.get_or_insert(failure);
            pipe.has_arrived();
            pipe.opposite.tell();
        };
        match patience.is_zero() {
            true => self.arrives(breaks),
            false => drop(current().map(|world| world.after(patience, breaks))),
        }
    }

    /// Marks the reader as gone, and returns whether bytes were unread.
    pub fn abandon(&self) -> bool {
        let mut state = self.state.borrow_mut();
        state.is_abandoned = true;
        !state.arrived.is_empty() || state.travelling > 0
    }

    /// Loses the bytes in transit, and all bytes that are sent from now on.
    pub fn swallow(&self) {
        self.state.borrow_mut().swallows = true;
    }

    fn has_arrived(&self) {
        self.state.borrow_mut().arrived_at = current().map_or(Duration::ZERO, |world| world.elapsed());
        self.reader.tell();
    }

    /// Calls `happen` at the time when bytes that are sent now arrive.
    fn arrives(&self, happen: impl FnOnce() + 'static) {
        let Some(world) = current() else { return };
        let delay = world.dice(delay);
        let at = {
            let mut state = self.state.borrow_mut();
            state.latest = state.latest.max(world.elapsed() + delay);
            state.latest
        };
        world.at(at, happen);
    }
}
