//! Tells an application that a client is gone (`Grip-Link`, `rel=gone`), by a POST without a body. The gone link is a
//! value that moves along with the client's hold. Dropping it makes the request, so whatever ends the hold, the
//! application is told. The request is made once, and its answer is ignored.

use crate::held::Holds;
use crate::origin::OriginError;
use crate::proto::grip::LinkTarget;
use crate::requests::Origin;
use crate::runtime;
use http::Method;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Dropped gone links, whose requests the loop will make.
pub(in crate::held) type GoneLinks = Rc<RefCell<Vec<(LinkTarget, Rc<Origin>)>>>;

/// The gone link of a client. Dropping it notifies the application.
pub(in crate::held) struct GoneLink {
    /// `None` if the application must not be notified any more.
    whom: Option<(LinkTarget, Rc<Origin>)>,
    told: GoneLinks,
}

impl GoneLink {
    /// Whom dropping the link notifies.
    pub(super) fn whom(&self) -> Option<&(LinkTarget, Rc<Origin>)> {
        self.whom.as_ref()
    }

    /// Drops the link without notifying the application, because another link has taken its place.
    pub fn disarm(mut self) {
        self.whom = None;
    }
}

/// How many times a request is made again that waited too long for its turn.
const RETRIES: u32 = 5;

impl Drop for GoneLink {
    fn drop(&mut self) {
        self.told.borrow_mut().extend(self.whom.take());
    }
}

impl Holds {
    /// A gone link that notifies `target` when it is dropped.
    pub(in crate::held) fn gone_link(&self, target: LinkTarget, origin: &Rc<Origin>) -> GoneLink {
        GoneLink { whom: Some((target, origin.clone())), told: self.gone_links.clone() }
    }

    /// Makes the requests of dropped gone links, in tasks. Returns whether there were any.
    pub fn tell_of_the_gone(self: &Rc<Self>) -> bool {
        if self.context.gate.life().is_pausing() {
            return false;
        }
        let gone = self.gone_links.take();
        let any = !gone.is_empty();
        for (target, origin) in gone {
            let (holds, task) = (self.clone(), self.unfinished.begin());
            runtime::spawn(async move {
                let _task = task;
                let route = holds.requests.way_to(&target, &origin);
                let _permit = holds.requests.permit(route.target_names().into(), 0).await;
                for tries in 0..=RETRIES {
                    let request = holds.requests.request_to(&target, Method::POST, &route, &origin);
                    match holds.requests.pool().request(&route, request).await {
                        Err(OriginError::QueueTimeout { .. }) if tries < RETRIES => {
                            runtime::sleep(Duration::from_secs(1 << tries)).await;
                        }
                        Err(error) => {
                            tracing::debug!(%error, "a gone link failed: its application was not told that a client is gone");
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
