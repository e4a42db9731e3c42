//! Resolves the links of an answer.

use crate::proto::grip::{Link, LinkTarget};
use serde::{Deserialize, Serialize};

/// The resolved links of an answer: the next link, and the gone link.
#[derive(Default)]
pub(in crate::held) struct Links {
    pub next: Option<Next>,
    pub gone: Option<LinkTarget>,
}

/// The next link of a stream.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::held) struct Next {
    pub target: LinkTarget,
    pub timeout_s: u64,
}

/// Resolves the links of an answer against `base`; `None` if one of them is no valid URI.
pub(in crate::held) fn resolve(
    base: &LinkTarget,
    next: Option<&Link>,
    gone: Option<&String>,
) -> Option<Links> {
    let mut links = Links::default();
    if let Some(Link { uri, timeout_s }) = next {
        links.next = Some(Next { target: base.resolve(uri)?, timeout_s: *timeout_s });
    }
    if let Some(uri) = gone {
        links.gone = Some(base.resolve(uri)?);
    }
    Some(links)
}
