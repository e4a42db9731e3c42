//! The Grip-Sig of each route. A token is good for an hour and is made anew at most once a second.

use crate::origin::Route;
use crate::proto::grip::signature::Signer;
use http::HeaderValue;
use rustc_hash::FxHashMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// The signers of one core: the default one and those of routes that override it, by route id.
pub(super) struct Signatures {
    default: Option<Signer>,
    by_route: FxHashMap<String, Option<Signer>>,
}

impl Signatures {
    pub fn new(default: Option<Signer>, by_route: Vec<(String, Option<Signer>)>) -> Signatures {
        Signatures { default, by_route: by_route.into_iter().collect() }
    }

    /// The token for a request of `route`; `None` when there is no key.
    pub fn token(&self, route: &Route) -> Option<HeaderValue> {
        let signer = self.by_route.get(&route.id).unwrap_or(&self.default).as_ref()?;
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Some(signer.token(now_s))
    }
}
