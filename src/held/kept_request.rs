//! What is kept of a request that may be made again on behalf of its client.

use super::links::GoneLink;
use crate::channel::HeardUpTo;
use crate::clients::Request;
use crate::proto::cross_origin::CrossOrigin;
use bytes::Bytes;
use std::rc::Rc;

/// A request as it was received, and what has become of it since.
pub(super) struct KeptRequest {
    /// Method, target and header fields.
    pub request: Request,
    /// The body.
    pub body: Bytes,
    /// What the client has got of channels whose ids it follows.
    pub heard: Vec<HeardUpTo>,
    /// How often in a row the application's answer was behind what was published when it came.
    pub behind: u32,
    /// What the answer has for a browser of another origin.
    pub cross_origin: Option<Rc<CrossOrigin>>,
    /// Whom to tell that the client is gone.
    pub gone: Option<GoneLink>,
}
