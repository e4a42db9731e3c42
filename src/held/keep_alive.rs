//! The keep-alives of held streams, and the terms on which a stream is held.

use crate::clients::Asked;
use crate::proto::grip::{self, KeepAliveMode};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;

/// A keep-alive: bytes that a stream is sent while nothing is published. Streams with equal keep-alives share one
/// value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeepAlive {
    pub frame: Bytes,
    /// The time between two keep-alives, ms.
    pub period_ms: u64,
    pub mode: KeepAliveMode,
}

/// The terms on which a stream is held. Streams without links that have equal terms share one hold.
#[derive(Clone)]
pub(super) struct StreamTerms {
    pub keep_alive: Option<Rc<KeepAlive>>,
    /// How the stream's body is written.
    pub asked: Asked,
    /// The body is a list of Server-Sent Events.
    pub is_events: bool,
    /// The client is told why something fails.
    pub debug: bool,
}

impl KeepAlive {
    /// The keep-alive that `setting` asks for, for a client that is answered as `asked`. Shares the `last` keep-alive
    /// if it is equal.
    pub fn share(
        setting: &grip::KeepAlive,
        asked: Asked,
        last: &RefCell<Option<Rc<KeepAlive>>>,
    ) -> Rc<KeepAlive> {
        let frame = asked.body_writer().part(&setting.data);
        let period_ms = setting.timeout_s.max(1) * 1000;
        KeepAlive { frame, period_ms, mode: setting.mode }.share_with(last)
    }

    /// This keep-alive, or the `last` one if it is equal.
    pub fn share_with(self, last: &RefCell<Option<Rc<KeepAlive>>>) -> Rc<KeepAlive> {
        let mut last = last.borrow_mut();
        match last.as_ref().filter(|last| ***last == self) {
            Some(same) => same.clone(),
            None => last.insert(Rc::new(self)).clone(),
        }
    }
}

impl PartialEq for StreamTerms {
    /// Two keep-alives are equal only if they are the same shared value.
    fn eq(&self, other: &StreamTerms) -> bool {
        let keep_alive = |terms: &StreamTerms| terms.keep_alive.as_ref().map(Rc::as_ptr);
        let rest = |terms: &StreamTerms| (terms.asked, terms.is_events, terms.debug);
        keep_alive(self) == keep_alive(other) && rest(self) == rest(other)
    }
}
