//! Packs streams with links for the hand-over to another process. A stream whose link is being requested does not move; one
//! whose request has not begun requests its link in the other process.

use super::gone::GoneLink;
use super::linked::Linked;
use super::state::{Doing, State};
use super::target::Next;
use crate::channel::{HeardUpTo, Transport};
use crate::clients::{Asked, Reason};
use crate::held::Holds;
use crate::held::keep_alive::KeepAlive;
use crate::held::packed::{Adoptable, HoldKind};
use crate::ids::Slot;
use crate::proto::grip::LinkTarget;
use crate::requests::PackedOrigin;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;

/// A stream with links as a value.
#[derive(Serialize, Deserialize)]
pub(in crate::held) struct PackedLinked {
    origin: PackedOrigin,
    asked: Asked,
    is_events: bool,
    keep_alive: Option<KeepAlive>,
    next: Option<Next>,
    gone: Option<PackedGoneLink>,
    doing: PackedDoing,
    failures: u32,
    behind: u32,
    keep_alive_due: Option<u32>,
    next_due: Option<u32>,
}

/// What the stream is doing.
#[derive(Serialize, Deserialize)]
enum PackedDoing {
    Held,
    GoesOn,
    /// It will request its next link, with the last items that its client has got.
    Fetching(Vec<HeardUpTo>),
}

/// A gone link as a value.
#[derive(Serialize, Deserialize)]
pub(in crate::held) struct PackedGoneLink {
    target: LinkTarget,
    origin: PackedOrigin,
}

impl PackedGoneLink {
    pub fn of(link: &GoneLink) -> Option<PackedGoneLink> {
        let (target, origin) = link.whom()?;
        Some(PackedGoneLink { target: target.clone(), origin: PackedOrigin::of(origin) })
    }
}

impl Linked {
    /// The client in `slot` as bytes; `None` if its link is being requested.
    pub(super) fn packed(&self, slot: Slot) -> Option<Bytes> {
        let packed = self.value()?;
        self.holds.pack(slot, HoldKind::Linked, &packed)
    }

    fn value(&self) -> Option<PackedLinked> {
        // A field that is added is to be named here, and packed if another process needs it.
        let Linked { holds, origin, asked, is_events, state } = self;
        let guard = state.borrow();
        let State { keep_alive, next, gone, doing, failures, behind, keep_alive_due, next_due } = &*guard;
        let doing = match doing {
            Doing::Held => PackedDoing::Held,
            Doing::GoesOn => PackedDoing::GoesOn,
            Doing::Fetching { number, heard } if holds.fetches.borrow().has(*number) => {
                PackedDoing::Fetching(heard.clone())
            }
            Doing::Fetching { .. } => return None,
        };
        Some(PackedLinked {
            origin: PackedOrigin::of(origin),
            asked: *asked,
            is_events: *is_events,
            keep_alive: keep_alive.as_ref().map(|keep_alive| (**keep_alive).clone()),
            next: next.clone(),
            gone: gone.as_ref().and_then(PackedGoneLink::of),
            doing,
            failures: *failures,
            behind: *behind,
            keep_alive_due: *keep_alive_due,
            next_due: *next_due,
        })
    }
}

impl Holds {
    /// The gone link that was packed in another process.
    pub(in crate::held) fn gone_link_again(&self, packed: PackedGoneLink) -> GoneLink {
        let PackedGoneLink { target, origin } = packed;
        self.gone_link(target, &self.requests.origin_again(origin).into())
    }

    /// The stream that was packed in another process.
    pub(in crate::held) fn linked_again(self: &Rc<Self>, packed: PackedLinked) -> Rc<Linked> {
        let PackedLinked {
            origin,
            asked,
            is_events,
            keep_alive,
            next,
            gone,
            doing,
            failures,
            behind,
            keep_alive_due,
            next_due,
        } = packed;
        let doing = match doing {
            PackedDoing::Held => Doing::Held,
            PackedDoing::GoesOn => Doing::GoesOn,
            PackedDoing::Fetching(heard) => Doing::Fetching { number: 0, heard },
        };
        let state = State {
            keep_alive: keep_alive.map(|it| it.share_with(&self.last_keep_alive)),
            next,
            gone: gone.map(|gone| self.gone_link_again(gone)),
            doing,
            failures,
            behind,
            keep_alive_due,
            next_due,
        };
        let origin = self.requests.origin_again(origin).into();
        Rc::new(Linked { holds: self.clone(), origin, asked, is_events, state: RefCell::new(state) })
    }
}

impl Adoptable for Linked {
    fn transport(&self) -> Transport {
        self.asked.body_writer().transport()
    }

    fn adopted(self: Rc<Self>, slot: Slot) {
        self.holds.release_stream(slot);
        let waiting = match &self.state.borrow().doing {
            Doing::Fetching { heard, .. } => Some(heard.clone()),
            Doing::Held | Doing::GoesOn => None,
        };
        match waiting {
            Some(heard) => self.fetch(slot, heard, Reason::Missed),
            None => {
                self.make_up(slot);
                let goes_on = self.state.borrow().goes_on();
                if goes_on && !self.holds.clients.is_backlogged(slot) {
                    self.fetch_next(slot, Reason::Hint);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::pinned::pinned;
    use serde_json::json;

    #[test]
    fn the_form_of_the_first_version_is_pinned() {
        let target = json!({ "https": true, "authority": "a", "path_and_query": "/" });
        let origin = json!({ "asked_for": target, "client": 7, "route": "r" });
        let asked = json!({ "version": "Http11", "keep_alive": true, "head": false });
        for (doing, hex) in [
            (json!("Held"), "010161012f070172010100010001010161012f3c00000102010300"),
            (json!("GoesOn"), "010161012f070172010100010001010161012f3c00010102010300"),
            (
                json!({ "Fetching": [["c", "1"]] }),
                "010161012f070172010100010001010161012f3c000201016301310102010300",
            ),
        ] {
            let packed = json!({
                "origin": origin, "asked": asked, "is_events": true, "keep_alive": null,
                "next": { "target": target, "timeout_s": 60 }, "gone": null, "doing": doing,
                "failures": 1, "behind": 2, "keep_alive_due": 3, "next_due": null,
            });
            pinned::<PackedLinked>(packed, hex);
        }
    }
}
