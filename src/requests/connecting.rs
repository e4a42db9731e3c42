//! What becomes of a client's request whose route is known, before its application is asked: it goes on to the application,
//! maybe changed, or it is answered here. All that decides on this does so in [`Requests::connect`].

use super::{Requests, Scheme, cross_origin};
use crate::clients::{Exchange, Request, answer};
use crate::origin::{OriginError, Route};
use crate::proto::grip;
use bytes::Bytes;
use std::rc::Rc;

/// What becomes of a client's request.
#[must_use]
pub enum Connect {
    /// Its application is to be asked.
    GoesOn {
        /// The body, if it is not the client's own.
        body: Option<Bytes>,
    },
    /// It has been answered.
    Answered,
}

impl Requests {
    /// Decides on `request`, whose client speaks `scheme`, before the application of `route` is asked. Every client's
    /// request for an application passes here once: requests by HTTP, upgrades of WebSockets of every kind, and the
    /// WebSocket of each conversation of SockJS. A long poll that asks its application again does not, because its client
    /// was let in before.
    ///
    /// Requests by scripts become those that they mean before anything is decided on them.
    ///
    /// This is where a hook on connect is called, after all that is decided here now: no hook sees a request that
    /// forges events. It may change the request's body, or answer. Each caller is the task of one request, and no further request
    /// of the connection begins meanwhile, so a hook may wait. For WebSockets the handshake has been read already. By SockJS's
    /// requests over HTTP, the conversation passes here once, after its permit is taken, and a refused client gets the status
    /// without the hook's body.
    pub fn connect(
        &self,
        exchange: &Rc<Exchange>,
        request: &mut Request,
        route: &Route,
        scheme: Scheme,
    ) -> Connect {
        let body = match scheme {
            Scheme::Http => cross_origin::prepare(exchange, request, route),
            Scheme::WebSocket => Ok(None),
        };
        let body = match body {
            Ok(body) => body,
            Err(error) => {
                answer::send_whole(exchange, &answer::text(400, format!("{error}\n")));
                return Connect::Answered;
            }
        };
        if let Some(error) = forged_events(request, route) {
            self.fail(exchange, request, Some(route), &error);
            return Connect::Answered;
        }
        Connect::GoesOn { body }
    }
}

/// The refusal of a client that speaks to its application as this server does for WebSockets.
fn forged_events(request: &Request, route: &Route) -> Option<OriginError> {
    let is_forged = !request.is_trusted && !route.no_grip && grip::claims_events(&request.headers);
    is_forged.then(|| OriginError::ForgedEvents { route: route.id.clone() })
}
