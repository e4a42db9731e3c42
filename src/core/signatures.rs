//! The Grip-Sig of each route, and of other proxies. A token is good for an hour and is made anew at most once a second.

use crate::origin::Route;
use crate::proto::grip::signature::Signer;
use crate::proto::grip::upstream::{Upstream, UpstreamKey};
use http::{HeaderMap, HeaderValue};
use rustc_hash::FxHashMap;
use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

/// Who signs, and whose signature counts.
pub struct Signers {
    /// For routes without a key of their own.
    pub default: Option<Signer>,
    /// For those with one.
    pub by_route: Vec<(Arc<Route>, Option<Signer>)>,
    /// Tells requests of another GRIP proxy.
    pub upstream_key: Option<UpstreamKey>,
}

/// The signers of one core: the default one and those of routes that override it, by route id.
pub(super) struct Signatures {
    default: Option<Signer>,
    by_route: FxHashMap<String, OfRoute>,
    upstream: Option<Upstream>,
}

struct OfRoute {
    signer: Option<Signer>,
    /// Gone when nobody uses the route any more.
    route: Weak<Route>,
}

impl Signatures {
    pub fn new(signers: Signers) -> Signatures {
        let mut signatures = Signatures { default: None, by_route: FxHashMap::default(), upstream: None };
        signatures.renew(signers);
        signatures
    }

    /// Lets others sign. Routes that are in force no more keep their signers while clients that came by them are held.
    pub fn renew(&mut self, Signers { default, by_route, upstream_key }: Signers) {
        self.default = default;
        self.upstream = upstream_key.map(Upstream::new);
        self.by_route.retain(|_, known| known.route.strong_count() > 0);
        let of_route = |(route, signer): (Arc<Route>, _)| {
            (route.id.clone(), OfRoute { signer, route: Arc::downgrade(&route) })
        };
        self.by_route.extend(by_route.into_iter().map(of_route));
    }

    /// The token for a request of `route`; `None` when there is no key.
    pub fn token(&self, route: &Route) -> Option<HeaderValue> {
        let signer = self.by_route.get(&route.id).map_or(&self.default, |known| &known.signer).as_ref()?;
        Some(signer.token(now_s()))
    }

    /// Whether a request with these headers comes from another GRIP proxy.
    pub fn are_trusted(&self, headers: &HeaderMap) -> bool {
        let signed = self.upstream.as_ref().zip(headers.get("grip-sig"));
        signed.is_some_and(|(upstream, signature)| upstream.is_trusted(signature, now_s()))
    }
}

/// Unix time.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
