//! Where the links of an answer lead.

use crate::proto::grip::{Link, LinkTarget};

/// Where a stream goes on, and whom to tell when its client is gone.
#[derive(Default)]
pub(in crate::held) struct Links {
    pub next: Option<Next>,
    pub gone: Option<LinkTarget>,
}

/// Where a stream goes on.
#[derive(Clone)]
pub(in crate::held) struct Next {
    pub target: LinkTarget,
    pub timeout_s: u64,
}

/// Where these links of an answer lead, as seen from `base`; `None` if one leads nowhere.
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
