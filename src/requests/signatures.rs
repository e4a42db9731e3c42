//! Signs requests with a Grip-Sig for their route, and verifies the Grip-Sig of other proxies. A token is valid for an
//! hour and is made anew at most once a second.

use crate::origin::{Route, Signing};
use crate::proto::grip::signature::Signer;
use crate::proto::grip::upstream::{Upstream, UpstreamKey};
use http::{HeaderMap, HeaderValue};
use rustc_hash::FxHashMap;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

/// The signers of requests, and the key by which other proxies are recognized.
pub struct Signers {
    /// The signer of routes without a key of their own.
    pub default: Option<Signer>,
    /// The signers of routes with a key of their own, by the routes' settings of the key.
    pub by_route: Vec<(Arc<Signing>, Option<Signer>)>,
    /// The key by which requests of another GRIP proxy are recognized.
    pub upstream_key: Option<UpstreamKey>,
}

/// The signers of one core: the default signer, and those of routes that override it. A route is identified by the
/// address of its settings and not by its id, because a changed routes file may give the id to another route.
pub(super) struct Signatures {
    default: Option<Signer>,
    by_route: FxHashMap<*const Signing, OfRoute>,
    upstream: Option<Upstream>,
}

struct OfRoute {
    signer: Option<Rc<Signer>>,
    /// Dropped when the route is no longer used. While this weak reference exists, no other settings can have the same
    /// address.
    settings: Weak<Signing>,
}

impl Signatures {
    pub fn new(signers: Signers) -> Signatures {
        let mut signatures = Signatures { default: None, by_route: FxHashMap::default(), upstream: None };
        signatures.renew(signers);
        signatures
    }

    /// Replaces the signers. A route that is no longer in force keeps its signer while clients that came by it are
    /// held. If a new route has the same settings of its key, the old route gets the new signer, because the content of
    /// the key's file may have changed.
    pub fn renew(&mut self, Signers { default, by_route, upstream_key }: Signers) {
        self.default = default;
        self.upstream = upstream_key.map(Upstream::new);
        self.by_route.retain(|_, known| known.settings.strong_count() > 0);
        for (settings, signer) in by_route {
            let signer = signer.map(Rc::new);
            let same = |known: &&mut OfRoute| known.settings.upgrade().is_some_and(|it| it == settings);
            self.by_route.values_mut().filter(same).for_each(|known| known.signer.clone_from(&signer));
            let of_route = OfRoute { signer, settings: Arc::downgrade(&settings) };
            self.by_route.insert(Arc::as_ptr(&settings), of_route);
        }
    }

    /// The token for a request by `route`; `None` if there is no key.
    pub fn token(&self, route: &Route) -> Option<HeaderValue> {
        let signer = match self.by_route.get(&Arc::as_ptr(&route.signing)) {
            Some(known) => known.signer.as_deref(),
            None => self.default.as_ref(),
        };
        Some(signer?.token(now_s()))
    }

    /// Whether a request with these headers comes from another GRIP proxy.
    pub fn are_trusted(&self, headers: &HeaderMap) -> bool {
        let signed = self.upstream.as_ref().zip(headers.get("grip-sig"));
        signed.is_some_and(|(upstream, signature)| upstream.is_trusted(signature, now_s()))
    }
}

/// The current Unix time.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::Routes;
    use crate::proto::grip::signature::Key;
    use std::path::Path;

    fn signer(iss: &str) -> Option<Signer> {
        let key = Key::parse("k", Path::new(".")).expect("a key")?;
        Some(Signer::new(iss, &key))
    }

    fn route() -> Arc<Route> {
        let (routes, _) = Routes::parse("*,id=r localhost:80", "routes");
        routes.iter().next().expect("a route").clone()
    }

    #[test]
    fn a_route_without_a_key_does_not_inherit_that_of_a_route_with_its_id() {
        let (before, after) = (route(), route());
        let signers = |by_route| Signers { default: None, by_route, upstream_key: None };
        let mut signatures = Signatures::new(signers(vec![(before.signing.clone(), signer("own"))]));
        signatures.renew(signers(Vec::new()));
        assert!(signatures.token(&before).is_some(), "a client is held by it");
        assert!(signatures.token(&Route::clone(&before)).is_some());
        assert_eq!(signatures.token(&after), None);
        drop(before);
        signatures.renew(signers(Vec::new()));
        assert!(signatures.by_route.is_empty());
    }

    #[test]
    fn who_is_held_by_a_route_is_signed_for_with_what_its_key_is_now() {
        let line = |line| Routes::parse(line, "routes").0.iter().next().expect("a route").clone();
        let (before, after) = (line("*,sig_key=file:k localhost:80"), line("*,sig_key=file:k localhost:81"));
        let other = line("*,sig_key=file:l localhost:80");
        let signers = |by_route| Signers { default: None, by_route, upstream_key: None };
        let by_route = vec![(before.signing.clone(), signer("old")), (other.signing.clone(), signer("old"))];
        let mut signatures = Signatures::new(signers(by_route));
        signatures.renew(signers(vec![(after.signing.clone(), signer("new"))]));
        let of = |route| signatures.by_route[&Arc::as_ptr(route)].signer.as_ref().map(Rc::as_ptr);
        assert_eq!(of(&before.signing), of(&after.signing));
        assert_ne!(of(&other.signing), of(&after.signing));
    }
}
