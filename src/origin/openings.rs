//! How many requests a core has open at applications, and who waits for one to end. Few at a time are quicker than
//! many where an application answers at once: 15,000 requests that come together take half the CPU with 32 open that
//! they take with 1,000, whose buffers fit no cache. So more than [`FEW`] are opened only where answers take long:
//! while requests wait, their number doubles each [`LOOK`] in which those that are open turn out to take longer than
//! [`SLOW`]; it shrinks again when nobody waits. One for each pool.

use crate::runtime;
use glommio::sync::Semaphore;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// Open at a time, however quick the answers are.
const FEW: u64 = 32;
/// How often it is looked whether more are needed, while some wait.
const LOOK: Duration = Duration::from_millis(10);
/// What takes longer is taken to wait for something, and more of it can wait at a time.
const SLOW: Duration = Duration::from_millis(25);

/// Admits requests.
pub(super) struct Openings {
    state: Rc<State>,
    most: u64,
}

struct State {
    free: Semaphore,
    /// Free or not; `few` to `most`.
    all: Cell<u64>,
    few: u64,
    open: Cell<u64>,
    waiting: Cell<u64>,
    /// Since it was last looked.
    admitted: Cell<u64>,
    is_watched: Cell<bool>,
}

/// A request is open as long as this lives.
pub(super) struct Opening(Rc<State>);

impl Openings {
    /// At most `most` at a time, and at least one.
    pub fn new(most: usize) -> Openings {
        let most = most.max(1) as u64;
        let few = FEW.min(most);
        let state = State {
            free: Semaphore::new(few),
            all: Cell::new(few),
            few,
            open: Cell::new(0),
            waiting: Cell::new(0),
            admitted: Cell::new(0),
            is_watched: Cell::new(false),
        };
        Openings { state: Rc::new(state), most }
    }

    /// Waits for its turn; first come, first served.
    pub async fn admit(&self) -> Opening {
        let state = &self.state;
        if !state.free.try_acquire(1).unwrap_or(false) {
            let _waiting = Waiting::among(state);
            if !state.is_watched.replace(true) {
                runtime::spawn(look_after(state.clone(), self.most)).detach();
            }
            // It fails only once closed, which it never is.
            let _ = state.free.acquire(1).await;
        }
        state.open.set(state.open.get() + 1);
        state.admitted.set(state.admitted.get() + 1);
        Opening(state.clone())
    }

    /// Requests that are open.
    pub fn open(&self) -> u64 {
        self.state.open.get()
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let state = &self.0;
        state.open.set(state.open.get() - 1);
        if state.waiting.get() == 0 && state.all.get() > state.few {
            state.all.set(state.all.get() - 1);
        } else {
            state.free.signal(1);
        }
    }
}

/// One that waits, until it is dropped.
struct Waiting<'s>(&'s State);

impl Waiting<'_> {
    fn among(state: &State) -> Waiting<'_> {
        state.waiting.set(state.waiting.get() + 1);
        Waiting(state)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}

/// Admits more while some wait and answers take long.
async fn look_after(state: Rc<State>, most: u64) {
    state.admitted.set(0);
    loop {
        runtime::sleep(LOOK).await;
        if state.waiting.get() == 0 {
            state.is_watched.set(false);
            return;
        }
        let more = needed(state.all.get(), state.admitted.take(), most);
        state.all.set(state.all.get() + more);
        state.free.signal(more);
    }
}

/// How many more, when `admitted` of `all` were admitted within [`LOOK`]: by Little's law they are open for
/// `all / admitted` times that.
fn needed(all: u64, admitted: u64, most: u64) -> u64 {
    let is_slow = u128::from(admitted) * SLOW.as_micros() < u128::from(all) * LOOK.as_micros();
    if is_slow { all.min(most.saturating_sub(all)) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::{LocalExecutor, executor};

    #[test]
    fn more_are_needed_only_if_answers_take_long() {
        assert_eq!(needed(32, 0, 1000), 32);
        assert_eq!(needed(32, 12, 1000), 32);
        assert_eq!(needed(32, 13, 1000), 0);
        assert_eq!(needed(700, 0, 1000), 300);
        assert_eq!(needed(1000, 0, 1000), 0);
    }

    #[test]
    fn what_waits_is_admitted_while_nothing_ends_and_the_number_shrinks_afterwards() {
        LocalExecutor::default().run(async {
            let openings = Openings::new(100);
            let mut open = Vec::new();
            for _ in 0..100 {
                open.push(openings.admit().await);
            }
            assert_eq!((openings.open(), openings.state.all.get()), (100, 100));
            open.clear();
            assert_eq!((openings.open(), openings.state.all.get()), (0, FEW));
            assert_eq!(openings.state.free.available(), FEW);
        });
    }

    #[test]
    fn one_that_gives_up_waiting_takes_no_place() {
        LocalExecutor::default().run(async {
            let openings = Openings::new(1);
            let first = openings.admit().await;
            let given_up = futures_lite::future::or(async { Some(openings.admit().await) }, async {
                executor().yield_now().await;
                None
            });
            assert!(given_up.await.is_none());
            drop(first);
            let _second = openings.admit().await;
            assert_eq!((openings.open(), openings.state.waiting.get()), (1, 0));
        });
    }
}
