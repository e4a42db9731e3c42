//! What a held stream is sent while nothing is published, and on which terms it is held.

use crate::clients::Asked;
use crate::proto::grip::{self, KeepAliveMode};
use bytes::Bytes;
use std::cell::RefCell;
use std::rc::Rc;

/// What a stream is sent while nothing is published; shared by the streams that have the same.
#[derive(PartialEq, Eq)]
pub(super) struct KeepAlive {
    pub frame: Bytes,
    /// How often.
    pub period_ms: u64,
    pub mode: KeepAliveMode,
}

/// On which terms a stream is held. Streams without links that have the same are held by one value.
#[derive(Clone)]
pub(super) struct StreamTerms {
    pub keep_alive: Option<Rc<KeepAlive>>,
    /// How it is written.
    pub asked: Asked,
    /// Its client is told why something fails.
    pub debug: bool,
}

impl KeepAlive {
    /// The keep-alive that `setting` asks for, for a client that is answered as `asked`; the `last` one if it is the same.
    pub fn share(
        setting: &grip::KeepAlive,
        asked: Asked,
        last: &RefCell<Option<Rc<KeepAlive>>>,
    ) -> Rc<KeepAlive> {
        let frame = asked.body_writer().part(&setting.data);
        let keep_alive = KeepAlive { frame, period_ms: setting.timeout_s.max(1) * 1000, mode: setting.mode };
        let mut last = last.borrow_mut();
        match last.as_ref().filter(|last| ***last == keep_alive) {
            Some(same) => same.clone(),
            None => last.insert(Rc::new(keep_alive)).clone(),
        }
    }
}

impl PartialEq for StreamTerms {
    /// Keep-alives are the same if they are shared.
    fn eq(&self, other: &StreamTerms) -> bool {
        let keep_alive = |terms: &StreamTerms| terms.keep_alive.as_ref().map(Rc::as_ptr);
        keep_alive(self) == keep_alive(other) && self.asked == other.asked && self.debug == other.debug
    }
}
