//! One direction of a connection: bytes that travel for a while, arrive in their order, and wait to be read. There is
//! room for so many that nobody has read, as in the buffers of two sockets.

use crate::simulation::random::Random;
use crate::simulation::world::current;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

/// Is called when something has happened that its owner may want to look at.
pub type Observer = Rc<dyn Fn()>;

/// Room in a pipe: some have little, so that what is sent to them falls short.
const CAPACITIES: [usize; 5] = [200, 4_000, 64_000, 256_000, 256_000];

/// One direction.
pub(super) struct Pipe {
    state: RefCell<State>,
    reader: Side,
    writer: Side,
    /// Who writes in the other direction, and cannot when this one is broken.
    opposite: Side,
}

/// Who is told that something changed.
#[derive(Default)]
struct Side {
    waker: Cell<Option<Waker>>,
    observer: RefCell<Option<Observer>>,
}

struct State {
    arrived: VecDeque<u8>,
    /// When something last did.
    arrived_at: Duration,
    travelling: usize,
    capacity: usize,
    /// When what was sent last arrives: nothing overtakes it.
    latest: Duration,
    /// The writer has said that nothing follows; whether that has arrived.
    is_ending: bool,
    has_ended: bool,
    /// It broke.
    failure: Option<io::ErrorKind>,
    /// Nobody reads any more.
    is_abandoned: bool,
    /// What travels is lost.
    swallows: bool,
}

/// How long something travels.
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

    /// When something last arrived.
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

    /// Bytes on their way, or not read yet.
    pub fn unread(&self) -> usize {
        let state = self.state.borrow();
        state.arrived.len() + state.travelling
    }

    /// What arrived before the pipe broke can still be read.
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

    /// `back` is the other direction, which breaks if nobody reads this one.
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

    /// Nothing more is written.
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

    /// The pipe breaks, after `patience`.
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

    /// Nobody reads any more; whether there is something unread.
    pub fn abandon(&self) -> bool {
        let mut state = self.state.borrow_mut();
        state.is_abandoned = true;
        !state.arrived.is_empty() || state.travelling > 0
    }

    /// What travels, and what is sent from now on, is lost.
    pub fn swallow(&self) {
        self.state.borrow_mut().swallows = true;
    }

    fn has_arrived(&self) {
        self.state.borrow_mut().arrived_at = current().map_or(Duration::ZERO, |world| world.elapsed());
        self.reader.tell();
    }

    /// Has `happen` called when something sent now arrives.
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
