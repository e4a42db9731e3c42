//! Requests links. Streams whose requests would have the same URI and the same Grip-Last share one request. A request
//! waits for its permit, so an application gets a bounded number of them at a time.

use super::linked::Linked;
use super::request::{Awaiting, AwaitsLink, Fetched, LINK_BYTES, LinkError, LinkRequest, PATIENCE};
use super::state::Doing;
use crate::channel::HeardUpTo;
use crate::clients::Reason;
use crate::held::Holds;
use crate::ids::Slot;
use crate::origin::{Response, Route};
use crate::patience::within;
use crate::proto::grip::{self, Instruct};
use crate::requests::{Origin, say_what_was_heard};
use crate::runtime;
use bytes::BytesMut;
use http::Method;
use std::rc::Rc;

impl Linked {
    /// Requests the next link, unless there is none or it is being requested.
    pub(super) fn fetch_next(self: &Rc<Self>, slot: Slot, reason: Reason) {
        let can_fetch = self.state.borrow().can_fetch();
        if can_fetch && self.holds.clients.is_held_by(slot, self) {
            let heard = self.holds.delivery.withdraw(slot);
            self.holds.release_stream(slot);
            self.fetch(slot, heard, reason);
        }
    }

    /// Requests the next link. `heard` are the last items that the client has got.
    pub(super) fn fetch(self: &Rc<Self>, slot: Slot, heard: Vec<HeardUpTo>, reason: Reason) {
        if !self.holds.clients.is_held_by(slot, self) {
            return;
        }
        let number = self.holds.fetches.borrow_mut().number();
        let target = {
            let mut state = self.state.borrow_mut();
            state.doing = Doing::Fetching { number, heard: heard.clone() };
            let Some(next) = &state.next else { return };
            next.target.clone()
        };
        let route_id = self.origin.route().id.clone();
        let is_urgent = matches!(reason, Reason::Hint | Reason::Behind(0));
        let request = Rc::new(LinkRequest { target, heard, route_id, is_urgent });
        let stream: Rc<dyn AwaitsLink> = self.clone();
        let awaiting = Awaiting { slot, number, stream: Rc::downgrade(&stream) };
        let is_first = self.holds.fetches.borrow_mut().wait(&request, awaiting);
        if !is_first {
            return;
        }
        let (holds, origin) = (self.holds.clone(), self.origin.clone());
        let delay_ms = holds.requests.delay_ms(reason);
        runtime::spawn(async move { holds.fetch_for_all(&request, &origin, delay_ms).await }).detach();
    }
}

impl Holds {
    /// Requests a link when a permit is granted, and hands the answer to all streams that wait for it then.
    async fn fetch_for_all(self: &Rc<Self>, request: &Rc<LinkRequest>, origin: &Origin, delay_ms: u64) {
        let route = self.requests.way_to(&request.target, origin);
        let permit = self.requests.permit(route.target_names().into(), delay_ms).await;
        let _pass = self.context.gate.pass().await;
        let mut waiting = self.fetches.borrow_mut().take(request);
        waiting.retain(|awaiting| awaiting.stream().is_some());
        if waiting.is_empty() {
            return;
        }
        self.context.metrics.refetches_total.add(1);
        let fetched =
            within(PATIENCE, self.ask_for(request, &route, origin)).await.unwrap_or(Err(LinkError::Timeout));
        drop(permit);
        for awaiting in waiting {
            if let Some(stream) = awaiting.stream() {
                stream.take_fetched(awaiting.slot, &fetched);
            }
        }
    }

    /// Requests a link on behalf of the client of `origin`.
    async fn ask_for(
        self: &Rc<Self>,
        request: &LinkRequest,
        route: &Route,
        origin: &Origin,
    ) -> Result<Fetched, LinkError> {
        let mut to_origin = self.requests.request_to(&request.target, Method::GET, route, origin);
        say_what_was_heard(&mut to_origin.headers, &request.heard, route);
        let response =
            self.requests.pool().request(route, to_origin).await?.decoded(|| route.target_names()).await?;
        let Response { status, reason, headers, mut body, .. } = response;
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
