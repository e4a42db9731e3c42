//! Notes when bytes last moved on an origin connection, and limits how long a wait may go without any. The transport
//! notes each read and write. Exchanges and bodies wait through [`Activity::unless_idle`]. A connection is timed only
//! while a task waits for it, so a slow client does not make its origin look dead.

use crate::patience::LAST_LOOK;
use crate::runtime::{self, Timer};
use futures_lite::future::poll_fn;
use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

/// When bytes last moved; shared by a connection and its transport.
#[derive(Clone)]
pub(super) struct Activity(Rc<Cell<Instant>>);

/// No byte moved for the whole limit, nor when the connection was polled once more after it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Activity {
    /// An activity whose last movement is now.
    pub fn new() -> Self {
        Activity(Rc::new(Cell::new(runtime::now())))
    }

    /// Notes that bytes came from the origin, or that the origin's side took some.
    pub fn moved(&self) {
        self.0.set(runtime::now());
    }

    /// Does `work`, but gives up once no byte has moved for `limit`. One timer serves the whole wait: when the timer
    /// fires, it is set again only if bytes moved in the meantime.
    ///
    /// # Errors
    /// [`TooLong`] when no byte moved for `limit`.
    pub async fn unless_idle<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Result<T, TooLong> {
        let mut work = pin!(work);
        let mut timer: Option<Timer> = None;
        let begun = runtime::now();
        let mut was_last_look = false;
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            loop {
                ready!(Pin::new(timer.get_or_insert_with(|| Timer::new(limit))).poll(cx));
                let quiet = runtime::now().duration_since(self.0.get().max(begun));
                if quiet >= limit && was_last_look {
                    return Poll::Ready(Err(TooLong));
                }
                was_last_look = quiet >= limit;
                let rest = if was_last_look { LAST_LOOK } else { limit - quiet };
                timer = Some(Timer::new(rest));
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::block_on;
    use std::future::{pending, ready};

    #[test]
    fn only_a_silent_wait_is_given_up() {
        block_on(async {
            let activity = Activity::new();
            let limit = Duration::from_millis(5);
            assert_eq!(activity.unless_idle(Duration::ZERO, ready(1)).await, Ok(1));
            assert_eq!(activity.unless_idle(limit, pending::<()>()).await, Err(TooLong));
        });
    }

    #[test]
    fn moving_bytes_prolong_the_wait() {
        block_on(async {
            let activity = Activity::new();
            // The work takes longer than the limit, but is never silent for as long as the limit.
            let work = async {
                for _ in 0..10 {
                    Timer::new(Duration::from_millis(50)).await;
                    activity.moved();
                }
            };
            assert_eq!(activity.unless_idle(Duration::from_millis(400), work).await, Ok(()));
        });
    }
}
