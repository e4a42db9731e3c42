//! A request that is kept so that it can be made again on behalf of its client.

use super::Holds;
use super::links::{GoneLink, PackedGoneLink};
use crate::channel::HeardUpTo;
use crate::clients::Request;
use crate::proto::cross_origin::CrossOrigin;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
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

/// A kept request as a value.
#[derive(Serialize, Deserialize)]
pub(super) struct PackedRequest {
    request: Request,
    body: Bytes,
    heard: Vec<HeardUpTo>,
    behind: u32,
    cross_origin: Option<Rc<CrossOrigin>>,
    gone: Option<PackedGoneLink>,
}

impl PackedRequest {
    pub fn of(kept: &KeptRequest) -> PackedRequest {
        // A field that is added is to be named here, and packed if another process needs it.
        let KeptRequest { request, body, heard, behind, cross_origin, gone } = kept;
        PackedRequest {
            request: request.clone(),
            body: body.clone(),
            heard: heard.clone(),
            behind: *behind,
            cross_origin: cross_origin.clone(),
            gone: gone.as_ref().and_then(PackedGoneLink::of),
        }
    }
}

impl Holds {
    /// The request that was packed in another process.
    pub(super) fn request_again(&self, packed: PackedRequest) -> KeptRequest {
        let PackedRequest { request, body, heard, behind, cross_origin, gone } = packed;
        let gone = gone.map(|gone| self.gone_link_again(gone));
        KeptRequest { request, body, heard, behind, cross_origin, gone }
    }
}
