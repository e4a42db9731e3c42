//! Slows down guessing of secrets. The answer to a wrong secret waits, so one connection can try one secret in
//! [`DELAY`]. A right secret, and a request without one, is answered at once. Each answer that waits keeps a connection
//! and a little memory, so only [`WAITING`] of them wait on a core. Further wrong secrets get 429 at once and their
//! connection is closed, so each further guess costs its client a new connection.

use super::access;
use crate::clients::answer;
use crate::observe::Metrics;
use crate::proto::grip::Answer;
use crate::runtime;
use std::cell::Cell;
use std::time::Duration;

/// How long the answer to a wrong secret waits.
const DELAY: Duration = Duration::from_secs(1);
/// At most this many answers wait on a core.
const WAITING: usize = 64;

/// How many answers wait on this core.
#[derive(Default)]
pub(super) struct WrongSecrets {
    waiting: Cell<usize>,
}

/// The refusal of a request with a wrong secret.
pub(super) enum Refusal {
    /// The answer has waited; the connection can be used for further requests.
    Delayed(Answer),
    /// Too many answers wait; this one does not, and the connection is closed.
    AtOnce(Answer),
}

impl WrongSecrets {
    /// Refuses a request with a wrong secret.
    pub async fn refuse(&self, metrics: &Metrics) -> Refusal {
        metrics.wrong_secrets_total.add(1);
        let Some(_place) = self.enter() else {
            metrics.undelayed_wrong_secrets_total.add(1);
            return Refusal::AtOnce(answer::text(429, "Too many wrong secrets were sent.\n"));
        };
        runtime::sleep(DELAY).await;
        Refusal::Delayed(access::unauthorized())
    }

    /// A permit to wait; `None` if too many wait already. Dropping it gives it back, also if the client is gone.
    fn enter(&self) -> Option<DelayPermit<'_>> {
        let waiting = self.waiting.get();
        (waiting < WAITING).then(|| {
            self.waiting.set(waiting + 1);
            DelayPermit(&self.waiting)
        })
    }
}

struct DelayPermit<'w>(&'w Cell<usize>);

impl Drop for DelayPermit<'_> {
    fn drop(&mut self) {
        debug_assert!(self.0.get() > 0, "a place is left twice");
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_wait_and_who_leaves_makes_room() {
        let wrong_secrets = WrongSecrets::default();
        let mut places: Vec<_> = (0..WAITING).map(|_| wrong_secrets.enter().expect("a place")).collect();
        assert!(wrong_secrets.enter().is_none());
        places.pop();
        assert!(wrong_secrets.enter().is_some());
        drop(places);
        assert_eq!(wrong_secrets.waiting.get(), 0);
    }
}
