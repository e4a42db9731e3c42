//! A request of a link, the streams that wait for it together, and its outcome.

use crate::channel::HeardUpTo;
use crate::ids::{NameMap, Slot};
use crate::origin::OriginError;
use crate::proto::grip::{Instruct, InstructError, LinkTarget};
use crate::slack::Look;
use bytes::Bytes;
use rustc_hash::FxHashSet;
use std::rc::{Rc, Weak};
use std::time::Duration;

/// Bytes of the largest accepted answer of a link. An answer is kept until it is complete.
pub(super) const LINK_BYTES: usize = 1024 * 1024;
/// How long a link may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The links that will be requested, and the streams that wait for each.
#[derive(Default)]
pub(in crate::held) struct Fetches {
    waiting: NameMap<Rc<LinkRequest>, Vec<Awaiting>>,
    /// The numbers of all that wait.
    not_begun: FxHashSet<u64>,
    numbers: u64,
}

impl Fetches {
    /// Shows its table to `look`, which shrinks tables that have been nearly empty for a while.
    pub(in crate::held) fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.waiting);
        look.at(&mut self.not_begun);
    }

    /// A number for the request of one stream.
    pub fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Adds `stream` to those that wait for `request`. Returns whether it is the first.
    pub(super) fn wait(&mut self, request: &Rc<LinkRequest>, stream: Awaiting) -> bool {
        let waiting = self.waiting.entry(request.clone()).or_default();
        self.not_begun.insert(stream.number);
        waiting.push(stream);
        waiting.len() == 1
    }

    /// Whether the request of one stream, with this number, has not begun.
    pub(super) fn has(&self, number: u64) -> bool {
        self.not_begun.contains(&number)
    }

    /// Takes out the streams that wait for `request`.
    pub(super) fn take(&mut self, request: &Rc<LinkRequest>) -> Vec<Awaiting> {
        let waiting = self.waiting.remove(request).unwrap_or_default();
        for awaiting in &waiting {
            self.not_begun.remove(&awaiting.number);
        }
        waiting
    }
}

/// A stream that waits for its link.
pub(super) struct Awaiting {
    pub slot: Slot,
    /// The number of its request.
    pub number: u64,
    pub stream: Weak<dyn AwaitsLink>,
}

impl Awaiting {
    /// The stream, if it still waits.
    pub fn stream(&self) -> Option<Rc<dyn AwaitsLink>> {
        self.stream.upgrade().filter(|stream| stream.waits_for(self.number))
    }
}

/// A stream that can wait for a link.
pub(super) trait AwaitsLink {
    /// Whether the stream still waits for its request with this number.
    fn waits_for(&self, number: u64) -> bool;

    /// Takes the outcome of the request.
    fn take_fetched(self: Rc<Self>, slot: Slot, fetched: &Result<Fetched, LinkError>);
}

/// The identity of a request: streams with an equal value share one request.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct LinkRequest {
    pub target: LinkTarget,
    pub heard: Vec<HeardUpTo>,
    /// The route of the client's request. It limits where the link may lead.
    pub route_id: String,
    /// The request is made without a delay, so it is not shared with requests that are delayed.
    pub is_urgent: bool,
}

/// The answer of a link.
pub(super) struct Fetched {
    /// The URI of the answer.
    pub at: LinkTarget,
    /// The content to append to the stream.
    pub body: Bytes,
    /// The new instruct; `None` if the answer has none.
    pub instruct: Option<Instruct>,
    /// The prefix for the channels of the instruct.
    pub prefix: Option<String>,
}

/// Why a link failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error(transparent)]
    Origin(#[from] OriginError),
    #[error("the link's answer has status {0}")]
    Status(u16),
    #[error("the link's answer is larger than {LINK_BYTES} bytes")]
    TooLarge,
    #[error("the link did not answer within {} s", PATIENCE.as_secs())]
    Timeout,
    #[error("the instruct in the link's answer is invalid: {0}")]
    Instruct(#[from] InstructError),
}

impl LinkError {
    /// Whether another try may succeed.
    pub fn is_passing(&self) -> bool {
        let is_blocked = matches!(self, LinkError::Origin(OriginError::Blocked { .. }));
        !is_blocked && !matches!(self, LinkError::TooLarge | LinkError::Instruct(_))
    }
}
