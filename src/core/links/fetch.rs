//! Asks for links. Streams that would make the same request, the same URI and the same Grip-Last, wait for one
//! together. A request waits for its permit, so that an application gets no more of them at a time than it may.

use super::{Linked, Origin, State};
use crate::channel::HeardUpTo;
use crate::core::Core;
use crate::core::again::Reason;
use crate::core::proxy;
use crate::core::row::Phase;
use crate::ids::{NameMap, Slot};
use crate::origin::{OriginError, Response, Route};
use crate::patience::within;
use crate::proto::grip::{self, Instruct, InstructError, LinkTarget};
use crate::runtime;
use crate::slack::Look;
use bytes::{Bytes, BytesMut};
use http::Method;
use std::rc::Rc;
use std::time::Duration;

/// Bytes of what a link may have. It is kept until it has come whole.
const LINK_BYTES: usize = 1024 * 1024;
/// How long a link may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The links that will be asked for, and the streams that wait for each.
#[derive(Default)]
pub(in crate::core) struct Fetches {
    waiting: NameMap<Rc<LinkRequest>, Vec<(Slot, u64)>>,
    numbers: u64,
}

impl Fetches {
    /// Has a look at its tables.
    pub(in crate::core) fn look_at_tables(&mut self, look: &mut Look<'_>) {
        look.at(&mut self.waiting);
    }

    /// A number for the request of one stream.
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// The stream in `slot` waits for `request`; whether it is the first that does.
    fn wait(&mut self, request: &Rc<LinkRequest>, slot: Slot, number: u64) -> bool {
        let waiting = self.waiting.entry(request.clone()).or_default();
        waiting.push((slot, number));
        waiting.len() == 1
    }
}

/// What makes requests for links the same.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct LinkRequest {
    target: LinkTarget,
    heard: Vec<HeardUpTo>,
    /// The route of the client's request, on which it depends what may be asked.
    route_id: String,
    /// It may not wait with others that may.
    is_urgent: bool,
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
    #[error("what the link's answer publishes could not be taken")]
    Busy,
}

impl LinkError {
    /// Whether another try may do better.
    pub fn is_passing(&self) -> bool {
        let is_blocked = matches!(self, LinkError::Origin(OriginError::Blocked { .. }));
        !is_blocked && !matches!(self, LinkError::TooLarge | LinkError::Instruct(_))
    }
}

impl Core {
    /// Has the next link of the stream in `slot` asked for, unless it is already, or there is none.
    pub(in crate::core) fn refetch(self: &Rc<Self>, slot: Slot, reason: Reason) {
        let is_free = {
            let mut rows = self.rows.borrow_mut();
            let linked = rows.get(slot).and_then(|row| linked(&mut row.phase));
            linked.is_some_and(|it| it.next.is_some() && !matches!(it.state, State::Fetching { .. }))
        };
        if is_free {
            let mut heard = self.subscriptions.borrow_mut().withdraw(slot);
            self.filtering.borrow_mut().withdraw(slot, &mut heard);
            heard.sort_unstable();
            self.release_stream(slot);
            self.fetch(slot, heard, reason);
        }
    }

    /// Asks for the next link of the stream in `slot`, whose client has `heard` so much.
    pub(super) fn fetch(self: &Rc<Self>, slot: Slot, heard: Vec<HeardUpTo>, reason: Reason) {
        let number = self.fetches.borrow_mut().number();
        let (target, origin) = {
            let mut rows = self.rows.borrow_mut();
            let Some(linked) = rows.get(slot).and_then(|row| linked(&mut row.phase)) else { return };
            linked.state = State::Fetching { number, heard: heard.clone() };
            let Some(next) = &linked.next else { return };
            (next.target.clone(), linked.origin.clone())
        };
        let route_id = origin.route.id.clone();
        let is_urgent = matches!(reason, Reason::Hint | Reason::Behind(0));
        let request = Rc::new(LinkRequest { target, heard, route_id, is_urgent });
        let is_first = self.fetches.borrow_mut().wait(&request, slot, number);
        if !is_first {
            return;
        }
        let (core, delay_ms) = (self.clone(), self.delay_ms(reason));
        runtime::spawn(async move { core.fetch_for_all(&request, &origin, delay_ms).await }).detach();
    }

    /// Asks for a link when it may, and hands the answer to all who wait for it then.
    async fn fetch_for_all(self: &Rc<Self>, request: &Rc<LinkRequest>, origin: &Origin, delay_ms: u64) {
        let route = self.way_to(&request.target, origin);
        let permit = self.permit(route.target_names().into(), delay_ms).await;
        let mut waiting = self.fetches.borrow_mut().waiting.remove(request).unwrap_or_default();
        waiting.retain(|(slot, number)| self.waits_for(*slot, *number));
        if waiting.is_empty() {
            return;
        }
        self.gauges.refetches_total.add(1);
        let fetched =
            within(PATIENCE, self.ask_for(request, &route, origin)).await.unwrap_or(Err(LinkError::Timeout));
        drop(permit);
        for (slot, number) in waiting {
            if self.waits_for(slot, number) {
                self.take_fetched(slot, &fetched);
            }
        }
    }

    /// Whether the stream in `slot` still waits for its request with this number.
    fn waits_for(&self, slot: Slot, number: u64) -> bool {
        let mut rows = self.rows.borrow_mut();
        let linked = rows.get(slot).and_then(|row| linked(&mut row.phase));
        linked.is_some_and(|it| matches!(it.state, State::Fetching { number: own, .. } if own == number))
    }

    /// Asks for a link, on behalf of the client of `origin`.
    async fn ask_for(
        self: &Rc<Self>,
        request: &LinkRequest,
        route: &Route,
        origin: &Origin,
    ) -> Result<Fetched, LinkError> {
        let mut to_origin = self.request_to(&request.target, Method::GET, route, origin);
        proxy::say_what_was_heard(&mut to_origin.headers, &request.heard, route);
        let response = self.pool.request(route, to_origin).await?.decoded(|| route.target_names()).await?;
        let Response { status, reason, headers, mut body, publish, .. } = response;
        self.publish(publish).await.map_err(|_| LinkError::Busy)?;
        if !(200..300).contains(&status) {
            return Err(LinkError::Status(status));
        }
        let mut whole = BytesMut::new();
        while let Some(part) = body.next().await {
            whole.extend_from_slice(&part?);
            if whole.len() > LINK_BYTES {
                return Err(LinkError::TooLarge);
            }
        }
        let mut fetched = Fetched {
            at: request.target.clone(),
            body: whole.freeze(),
            instruct: None,
            prefix: route.prefix.clone(),
        };
        if grip::is_grip(status, &headers) {
            let reason = reason.as_deref().and_then(|reason| std::str::from_utf8(reason).ok());
            let instruct = Instruct::parse(status, reason, &headers, fetched.body)?;
            fetched.body = instruct.response.body.clone();
            fetched.instruct = Some(instruct);
        }
        Ok(fetched)
    }
}

/// The stream with links that a row is.
fn linked(phase: &mut Phase) -> Option<&mut Linked> {
    match phase {
        Phase::Linked(linked) => Some(linked),
        _ => None,
    }
}
