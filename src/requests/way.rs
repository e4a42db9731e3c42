//! The way of a request that an application has this server make by naming its URI: the next link of a stream, the gone
//! link of a client, the URL of a filter. The application may belong to one of several tenants, so such a request gets
//! no further than a client of its route would. It has no more trust than a client, it cannot reach addresses that are
//! closed to the route (`untrusted`), and it never reaches the ports where this server is operated. The Grip-Sig, which
//! proves that a request comes from this server, and the headers of a route, which may hold secrets, are sent only to
//! the targets of the route.

use super::Requests;
use super::origin::Origin;
use super::to_origin::Scheme;
use crate::clients::{Port, Request, Service};
use crate::origin::{self, Destination, HostCondition, Lookup, RequestBody, Route, Target};
use crate::proto::grip::LinkTarget;
use crate::proto::http1::{BodyLength, Headers};
use http::Method;
use std::sync::Arc;

impl Requests {
    /// The route to `target`, which the application of `origin` has named. If the target has the host of the client's
    /// request, its route is found among the routes; else the request goes straight to the target's host.
    pub fn way_to(&self, target: &LinkTarget, origin: &Origin) -> Arc<Route> {
        let own = origin.route();
        if !target.is_beside(origin.asked_for()) {
            return straight_to(target, own);
        }
        let (host, _) = target.host_and_port();
        let path = target.path_and_query.split('?').next().unwrap_or_default();
        let lookup = Lookup { host: &host, path, tls: target.https, websocket: false };
        let routes = self.routes.borrow();
        let route = routes.find(&lookup).unwrap_or(own);
        let mut way = Route { unsigned: !is_same_tenant(route, own), ..(**route).clone() };
        if is_untrusted(own) {
            let is_known =
                |target: &Target| own.targets.iter().any(|own| own.destination == target.destination);
            let others = way.targets.iter_mut().filter(|target| !is_known(target));
            others.for_each(|target| target.untrusted = true);
        }
        guarded(way)
    }

    /// A request by `route` that no client made. Its only headers are those that this server adds. It counts to the
    /// client of `origin`.
    pub fn request_to(
        &self,
        target: &LinkTarget,
        method: Method,
        route: &Route,
        origin: &Origin,
    ) -> origin::Request {
        let port = if target.https { Port::Tls } else { Port::Plain };
        let request = Request {
            method,
            target: target.path_and_query.clone(),
            host: target.authority.clone(),
            headers: Headers::new(),
            body: BodyLength::None,
            peer: None,
            service: Service::Clients(port),
            is_trusted: false,
        };
        let to_origin = self.origin_request(&request, route, RequestBody::Empty, Scheme::Http);
        origin::Request { client: origin.client(), ..to_origin }
    }
}

/// Whether both routes belong to the same tenant. If they do not, a request that the application of `own` causes must
/// not be signed as a request of `route`.
fn is_same_tenant(route: &Route, own: &Route) -> bool {
    route.prefix == own.prefix && route.signing == own.signing
}

/// Whether URIs that an application of `route` names may lead only to the Internet.
fn is_untrusted(route: &Route) -> bool {
    route.targets.iter().any(|target| target.untrusted)
}

/// The route to the host that `target` names. If the host is a target of `own`, it gets what that target gets; else it
/// is treated as a stranger.
fn straight_to(target: &LinkTarget, own: &Route) -> Arc<Route> {
    let (host, port) = target.host_and_port();
    let known = own.targets.iter().find(|known| {
        let is_there = matches!(&known.destination, Destination::Address { host: known, port: known_port }
            if known.eq_ignore_ascii_case(&host) && *known_port == port);
        is_there && known.ssl == target.https
    });
    let stranger = || Target {
        ssl: target.https,
        untrusted: is_untrusted(own),
        ..Target::to(Destination::Address { host, port })
    };
    let headers = known.map(|_| own.headers.clone());
    guarded(Route {
        host: HostCondition::Never,
        as_host: None,
        path_beg: None,
        path_rem: 0,
        replace_beg: None,
        headers: headers.unwrap_or_default(),
        unsigned: known.is_none(),
        targets: vec![known.cloned().unwrap_or_else(stranger)],
        ..own.clone()
    })
}

/// Marks the targets of `route` as named by an application.
fn guarded(mut route: Route) -> Arc<Route> {
    route.targets.iter_mut().for_each(|target| target.named_by_application = true);
    Arc::new(route)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::Routes;

    fn way(route: &str, target: &str) -> Arc<Route> {
        let (routes, problems) = Routes::parse(route, "routes");
        assert_eq!(problems, []);
        let base = LinkTarget { https: false, authority: "a".into(), path_and_query: "/".into() };
        straight_to(&base.resolve(target).unwrap(), routes.iter().next().unwrap())
    }

    #[test]
    fn only_targets_of_the_route_are_told_who_asks() {
        let route = "*,header=X-Key:secret,prefix=t-,path_beg=/x,path_rem=2 app:8000 app:8443,ssl,insecure";
        for (target, is_known) in [
            ("http://app:8000/", true),
            ("http://APP:8000/", true),
            ("https://app:8443/", true),
            ("https://app:8000/", false),
            ("http://app:8443/", false),
            ("http://app/", false),
            ("http://other:8000/", false),
        ] {
            let way = way(route, target);
            assert_eq!((way.unsigned, way.headers.len()), (!is_known, usize::from(is_known)), "{target}");
            assert_eq!((way.prefix.as_deref(), way.path_rem), (Some("t-"), 0), "{target}");
            assert!(way.targets.iter().all(|target| target.named_by_application), "{target}");
        }
        assert!(way(route, "https://app:8443/").targets[0].insecure);
        assert!(!way(route, "https://other:8443/").targets[0].insecure);
    }

    #[test]
    fn what_an_untrusted_target_names_is_not_trusted_either() {
        for (route, untrusted) in [("* a:1", false), ("* a:1,untrusted", true), ("* a:1 b:1,untrusted", true)]
        {
            assert_eq!(way(route, "http://10.0.0.1/").targets[0].untrusted, untrusted, "{route}");
        }
        assert!(way("* 10.0.0.1:80,untrusted", "http://10.0.0.1/").targets[0].untrusted);
    }

    #[test]
    fn another_prefix_or_key_is_another_tenant() {
        let (routes, _) = Routes::parse(
            "*,path_beg=/a,prefix=a- x:1\n*,path_beg=/b,prefix=a- x:1\n*,path_beg=/c,prefix=b- x:1\n\
             *,path_beg=/d,prefix=a-,sig_key=k x:1",
            "routes",
        );
        let first = routes.iter().next().unwrap();
        let same: Vec<bool> = routes.iter().map(|route| is_same_tenant(route, first)).collect();
        assert_eq!(same, [true, true, false, false]);
    }
}
