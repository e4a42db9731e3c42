//! The Grip-Sig of each route, and of other proxies. A token is good for an hour and is made anew at most once a second.

use crate::origin::Route;
use crate::proto::grip::signature::Signer;
use crate::proto::grip::upstream::{Upstream, UpstreamKey};
use http::{HeaderMap, HeaderValue};
use rustc_hash::FxHashMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// The signers of one core: the default one and those of routes that override it, by route id.
pub(super) struct Signatures {
    default: Option<Signer>,
    by_route: FxHashMap<String, Option<Signer>>,
    upstream: Upstream,
}

impl Signatures {
    pub fn new(
        default: Option<Signer>,
        by_route: Vec<(String, Option<Signer>)>,
        upstream: Option<UpstreamKey>,
    ) -> Signatures {
        Signatures { default, by_route: by_route.into_iter().collect(), upstream: Upstream::new(upstream) }
    }

    /// The token for a request of `route`; `None` when there is no key.
    pub fn token(&self, route: &Route) -> Option<HeaderValue> {
        let signer = self.by_route.get(&route.id).unwrap_or(&self.default).as_ref()?;
        Some(signer.token(now_s()))
    }

    /// Whether a request with these headers comes from another GRIP proxy.
    pub fn are_trusted(&self, headers: &HeaderMap) -> bool {
        self.upstream.is_trusted(headers.get("grip-sig"), now_s())
    }
}

/// Unix time.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
