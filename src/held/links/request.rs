//! A request for a link, the streams that wait for it together, and what comes of it.

use crate::channel::HeardUpTo;
use crate::ids::{NameMap, Slot};
use crate::origin::OriginError;
use crate::proto::grip::{Instruct, InstructError, LinkTarget};
use crate::slack::Look;
use bytes::Bytes;
use std::rc::{Rc, Weak};
use std::time::Duration;

/// Bytes of what a link may have. It is kept until it has come whole.
pub(super) const LINK_BYTES: usize = 1024 * 1024;
/// How long a link may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The links that will be asked for, and the streams that wait for each.
#[derive(Default)]
pub(in crate::held) struct Fetches {
    waiting: NameMap<Rc<LinkRequest>, Vec<Awaiting>>,
    numbers: u64,
}

impl Fetches {
    /// Has a look at its tables.
    pub(in crate::held) fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.waiting);
    }

    /// A number for the request of one stream.
    pub fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// `stream` waits for `request`; whether it is the first that does.
    pub(super) fn wait(&mut self, request: &Rc<LinkRequest>, stream: Awaiting) -> bool {
        let waiting = self.waiting.entry(request.clone()).or_default();
        waiting.push(stream);
        waiting.len() == 1
    }

    /// Takes out those that wait for `request`.
    pub(super) fn take(&mut self, request: &Rc<LinkRequest>) -> Vec<Awaiting> {
        self.waiting.remove(request).unwrap_or_default()
    }
}

/// A stream that waits for what its link has.
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

/// Takes what a link has.
pub(super) trait AwaitsLink {
    /// Whether the stream still waits for its request with this number.
    fn waits_for(&self, number: u64) -> bool;

    /// The link has answered.
    fn take_fetched(self: Rc<Self>, slot: Slot, fetched: &Result<Fetched, LinkError>);
}

/// What makes requests for links the same.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct LinkRequest {
    pub target: LinkTarget,
    pub heard: Vec<HeardUpTo>,
    /// The route of the client's request, on which it depends what may be asked.
    pub route_id: String,
    /// It may not wait with others that may.
    pub is_urgent: bool,
}

/// What a link had.
pub(super) struct Fetched {
    /// Where it was.
    pub at: LinkTarget,
    /// What is appended.
    pub body: Bytes,
    /// What holds from now on; nothing does if there is no instruction.
    pub instruct: Option<Instruct>,
    /// Before the channels of the instruction.
    pub prefix: Option<String>,
}

/// Why a link has nothing.
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
    #[error("the instructions of the link's answer cannot be followed: {0}")]
    Instruct(#[from] InstructError),
}

impl LinkError {
    /// Whether another try may do better.
    pub fn is_passing(&self) -> bool {
        let is_blocked = matches!(self, LinkError::Origin(OriginError::Blocked { .. }));
        !is_blocked && !matches!(self, LinkError::TooLarge | LinkError::Instruct(_))
    }
}
