//! Tells an application that a client is gone (`Grip-Link`, `rel=gone`), by a POST without a body. A link goes wherever
//! what it belongs to goes, and is asked for when it is dropped: whatever ended the client's hold, nobody has to
//! remember it. It is asked for once; what comes back means nothing.

use crate::held::Holds;
use crate::origin::OriginError;
use crate::proto::grip::LinkTarget;
use crate::requests::Origin;
use crate::runtime;
use http::Method;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Links to ask for, by the loop.
pub(in crate::held) type GoneLinks = Rc<RefCell<Vec<(LinkTarget, Rc<Origin>)>>>;

/// Whom to tell that a client is gone.
pub(in crate::held) struct GoneLink {
    /// `None` when nobody is to be told any more.
    whom: Option<(LinkTarget, Rc<Origin>)>,
    told: GoneLinks,
}

impl GoneLink {
    /// The client is not gone, and somebody else will tell if it is.
    pub fn disarm(mut self) {
        self.whom = None;
    }
}

/// Tries after one that had no turn in time.
const RETRIES: u32 = 5;

impl Drop for GoneLink {
    fn drop(&mut self) {
        self.told.borrow_mut().extend(self.whom.take());
    }
}

impl Holds {
    /// The link to ask for when a client is gone.
    pub(in crate::held) fn gone_link(&self, target: LinkTarget, origin: &Rc<Origin>) -> GoneLink {
        GoneLink { whom: Some((target, origin.clone())), told: self.gone_links.clone() }
    }

    /// Asks for the links of clients that have gone; whether there were any.
    pub fn tell_of_the_gone(self: &Rc<Self>) -> bool {
        let gone = self.gone_links.take();
        let any = !gone.is_empty();
        for (target, origin) in gone {
            let holds = self.clone();
            runtime::spawn(async move {
                let route = holds.requests.way_to(&target, &origin);
                let _permit = holds.requests.permit(route.target_names().into(), 0).await;
                for tries in 0..=RETRIES {
                    let request = holds.requests.request_to(&target, Method::POST, &route, &origin);
                    match holds.requests.pool().request(&route, request).await {
                        Err(OriginError::QueueTimeout { .. }) if tries < RETRIES => {
                            runtime::sleep(Duration::from_secs(1 << tries)).await;
                        }
                        Err(error) => {
                            tracing::debug!(%error, "an application was not told that a client is gone");
                            return;
                        }
                        Ok(_) => return,
                    }
                }
            })
            .detach();
        }
        any
    }
}
