//! A request that is kept so that it can be made again on behalf of its client.

use super::links::GoneLink;
use crate::channel::HeardUpTo;
use crate::clients::Request;
use crate::proto::cross_origin::CrossOrigin;
use bytes::Bytes;
use std::rc::Rc;

/// A request as it was received, and the state of its client since then.
pub(super) struct KeptRequest {
    /// Method, target and header fields.
    pub request: Request,
    /// The body.
    pub body: Bytes,
    /// The last items that the client has got of the channels whose ids it follows.
    pub heard: Vec<HeardUpTo>,
    /// How many times in a row the application's answer was behind the published items when it arrived.
    pub behind: u32,
    /// The headers that let a page of another origin read the answer, or the JSONP script that the page asked for;
    /// `None` for requests of no such page.
    pub cross_origin: Option<Rc<CrossOrigin>>,
    /// The gone link of the client.
    pub gone: Option<GoneLink>,
}
