//! The routes file, in Pushpin's syntax (`routes/line` has the grammar, `routes/properties` the properties), and the
//! choice of a route for a request. An invalid line is reported and left out; the other lines stay in force.

use super::route::{ClientCertificate, HostCondition, Route};
use crate::config::{key_file, resolve_key};
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod line;
mod properties;

use line::split_line;
use properties::{parse_condition, parse_target};

/// All routes, shared by the cores.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    routes: Vec<Arc<Route>>,
}

/// The properties of a request by which its route is found.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<'a> {
    /// Host in lower case, without a port.
    pub host: &'a str,
    /// The still-encoded path, without the query.
    pub path: &'a str,
    /// The request came over TLS.
    pub tls: bool,
    /// The request opens a WebSocket.
    pub websocket: bool,
}

/// A problem in the routes file that the operator should know.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{source_name}:{line}: {message}")]
pub struct RouteProblem {
    /// The file, or another source of the line.
    pub source_name: String,
    /// The line's number, counted from 1.
    pub line: usize,
    /// The problem, and what to change.
    pub message: String,
    /// The line was left out; otherwise only a part of the line has no effect.
    pub fatal: bool,
}

impl Routes {
    /// Reads `text`, the content of `source_name`.
    pub fn parse(text: &str, source_name: &str) -> (Routes, Vec<RouteProblem>) {
        let (mut routes, mut problems) = (Routes::default(), Vec::new());
        for (index, line) in text.lines().enumerate() {
            let mut notes = Vec::new();
            let outcome = parse_line(line, &mut notes).and_then(|route| routes.add(route));
            let problem = |message, fatal| RouteProblem {
                source_name: source_name.into(),
                line: index + 1,
                message,
                fatal,
            };
            problems.extend(notes.into_iter().map(|note| problem(note, false)));
            problems.extend(outcome.err().map(|error| problem(error, true)));
        }
        (routes, problems)
    }

    /// Makes the paths of `file:` keys and of certificates relative to `directory`, where the routes file is.
    pub fn resolve_files(&mut self, directory: &Path) {
        for route in &mut self.routes {
            if route.targets.iter().any(|target| target.client_certificate.is_some()) {
                let targets = &mut Arc::make_mut(route).targets;
                let certificates = targets.iter_mut().filter_map(|it| it.client_certificate.as_mut());
                certificates.for_each(|certificate| {
                    let ClientCertificate { chain, key } = &**certificate;
                    let (chain, key) = (directory.join(chain), directory.join(key));
                    *certificate = Arc::new(ClientCertificate { chain, key });
                });
            }
            if route.signing.key.as_deref().and_then(key_file).is_some() {
                let signing = Arc::make_mut(&mut Arc::make_mut(route).signing);
                signing.key = signing.key.take().map(|key| resolve_key(&key, directory));
            }
        }
    }

    /// The files of keys and certificates that routes name.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        let keys = self.routes.iter().filter_map(|route| key_file(route.signing.key.as_deref()?));
        let targets = self.routes.iter().flat_map(|route| &route.targets);
        let certificates = targets.filter_map(|target| target.client_certificate.as_deref());
        keys.map(Path::to_owned).chain(certificates.flat_map(|it| [it.chain.clone(), it.key.clone()]))
    }

    /// The route of every host for the demo application.
    pub fn demo() -> Routes {
        Routes::parse("* demo,over_http", "demo").0
    }

    /// The route for a request: among the routes of its exact host if there are any, else among the routes of every
    /// host, the most specific one that matches.
    pub fn find(&self, lookup: &Lookup<'_>) -> Option<&Arc<Route>> {
        let of_host =
            |route: &&Arc<Route>| matches!(&route.host, HostCondition::Exact(host) if host == lookup.host);
        let any_host = |route: &&Arc<Route>| route.host == HostCondition::Any;
        let has_own = self.routes.iter().any(|route| of_host(&route));
        let candidates =
            self.routes.iter().filter(|route| if has_own { of_host(route) } else { any_host(route) });
        let matching = candidates.filter(|route| route.matches(lookup));
        matching.reduce(|best, next| if is_more_specific(next, best) { next } else { best })
    }

    /// The route with this id, if exactly one route has the id and the request's path begins with the route's
    /// `path_beg`.
    pub fn find_by_id(&self, id: &str, lookup: &Lookup<'_>) -> Option<&Arc<Route>> {
        let mut named = self.routes.iter().filter(|route| route.has_own_id && route.id == id);
        let only = named.next().filter(|_| named.next().is_none());
        only.filter(|route| route.is_for_path(lookup.path))
    }

    /// How many routes there are.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether there are no routes.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// All routes in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.iter()
    }

    fn add(&mut self, route: Option<Route>) -> Result<(), String> {
        let Some(route) = route else { return Ok(()) };
        let condition =
            |route: &Route| (route.host.clone(), route.path_beg.clone(), route.tls, route.websocket);
        let same = |known: &Arc<Route>| condition(known) == condition(&route);
        if route.host != HostCondition::Never && self.routes.iter().any(same) {
            return Err("another line above has the same condition; this one is left out".into());
        }
        self.routes.push(Arc::new(route));
        Ok(())
    }
}

impl Route {
    fn matches(&self, lookup: &Lookup<'_>) -> bool {
        self.is_for_path(lookup.path)
            && self.tls.is_none_or(|tls| tls == lookup.tls)
            && self.websocket.is_none_or(|websocket| websocket == lookup.websocket)
    }

    fn is_for_path(&self, path: &str) -> bool {
        self.path_beg.as_ref().is_none_or(|beginning| path.starts_with(beginning.as_str()))
    }
}

/// Pushpin's order: a protocol condition first, then a longer path, then a TLS condition.
fn is_more_specific(next: &Route, best: &Route) -> bool {
    let path = |route: &Route| route.path_beg.as_ref().map_or(0, String::len);
    match (next.websocket.is_some(), best.websocket.is_some()) {
        (true, false) => true,
        (false, true) => false,
        // A TLS condition wins even over a longer path: Pushpin compares step by step, not lexically.
        _ => path(next) > path(best) || (next.tls.is_some() && best.tls.is_none()),
    }
}

/// The route on a line; `None` if the line is empty or a comment.
fn parse_line(line: &str, notes: &mut Vec<String>) -> Result<Option<Route>, String> {
    let sections = split_line(line)?;
    let Some((condition, targets)) = sections.split_first() else { return Ok(None) };
    if targets.is_empty() {
        return Err("a target is missing: write `condition host:port`".into());
    }
    let mut route = parse_condition(condition, notes)?;
    route.targets = targets.iter().map(|target| parse_target(target, notes)).collect::<Result<_, _>>()?;
    Ok(Some(route))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::cross_origin::{JsonpSettings, Mode};
    use http::Method;

    fn found(text: &str, host: &str, path: &str, tls: bool) -> Option<String> {
        let (routes, problems) = Routes::parse(text, "routes");
        assert_eq!(problems, []);
        let route = routes.find(&Lookup { host, path, tls, websocket: false })?;
        Some(route.target_names())
    }

    fn problems(text: &str) -> Vec<String> {
        Routes::parse(text, "routes").1.iter().map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn the_most_specific_rule_of_a_host_wins() {
        let text = "* a:1\n*,path_beg=/x b:1\n*,path_beg=/x/y c:1\n*,path_beg=/x,ssl=yes d:1\nh e:1\nh,path_beg=/x f:1";
        let cases = [
            ("o", "/", false, "a:1"),
            ("o", "/x", false, "b:1"),
            ("o", "/x/y/z", false, "c:1"),
            ("o", "/x", true, "d:1"),
            ("h", "/", false, "e:1"),
            ("h", "/x/y", false, "f:1"),
        ];
        for (host, path, tls, target) in cases {
            assert_eq!(found(text, host, path, tls).as_deref(), Some(target), "{host}{path}");
        }
    }

    #[test]
    fn an_exact_host_does_not_fall_back_to_every_host() {
        assert_eq!(found("* a:1\nH.example,path_beg=/x b:1", "h.example", "/", false), None);
    }

    #[test]
    fn every_supported_property_is_read() {
        let text = "h,id=r,path_beg=/a,as_host=o:8,path_rem=2,header=X-A:b,prefix=p-,no_grip,aco,jsonp_mode=basic,jsonp_cb=c,jsonp_body=b,jsonp_defcb=d,jsonp_defmethod=PUT,sockjs=/s,sockjs_as_path=/t,debug,log_level=1,sig_iss=i,sig_key=k \
                    [::1]:80,ssl,insecure,host=t,sub=c,sub=d,over_http,one_event,untrusted,client_cert=c,client_key=k test # more";
        let (routes, problems) = Routes::parse(text, "routes");
        assert_eq!((problems, routes.len()), (vec![], 1));
        let lookup = Lookup { host: "", path: "/a", tls: false, websocket: false };
        assert!(routes.find_by_id("r", &Lookup { path: "/b", ..lookup }).is_none());
        let route = routes.find_by_id("r", &lookup).expect("it has an id");
        assert!(route.logs(1) && !route.logs(2));
        let jsonp = JsonpSettings {
            mode: Mode::Basic,
            callback: Some("c".into()),
            body: Some("b".into()),
            default_callback: Some("d".into()),
            default_method: Some(Method::PUT),
        };
        assert_eq!((route.cross_origin, &route.jsonp), (true, &jsonp));
        assert_eq!(route.below_sockjs("/s/info?q"), Some("/info"));
        assert_eq!((route.below_sockjs("/s"), route.below_sockjs("/so")), (Some(""), None));
        assert_eq!(route.sockjs_target("/s/websocket?q", "/websocket"), "/t/websocket?q");
        let target = &route.targets[0];
        assert!(target.one_event && target.untrusted && target.client_certificate.is_some());
        assert_eq!((route.prefix.as_deref(), route.no_grip, route.debug), (Some("p-"), true, true));
        assert_eq!(route.target_names(), "[::1]:80, test");
        assert_eq!(route.targets.first().map(|target| target.subscriptions.len()), Some(2));
        assert_eq!(route.rewrite("h", "/a/b?q=/a"), ("o:8".into(), "/b?q=/a".into()));
    }

    #[test]
    fn the_beginning_of_a_path_is_replaced_as_it_stands() {
        let (routes, _) = Routes::parse("*,path_beg=/old/,replace_beg=/new/ a:1", "routes");
        let route = routes.iter().next().expect("one route");
        assert_eq!(route.rewrite("h:1", "/old/x%2Fy?z"), ("h:1".into(), "/new/x%2Fy?z".into()));
    }

    #[test]
    fn a_path_without_the_beginning_of_the_route_stays_as_it_is() {
        for text in ["*,path_beg=/old/,path_rem=4 a:1", "*,path_beg=/old/,replace_beg=/new/ a:1"] {
            let (routes, _) = Routes::parse(text, "routes");
            let route = routes.iter().next().expect("one route");
            for path in ["/elsewhere?q=/old/", "/old", "/"] {
                assert_eq!(route.rewrite("h", path).1, path, "{text}");
            }
            assert_ne!(route.rewrite("h", "/old/x").1, "/old/x", "{text}");
        }
        let (routes, _) = Routes::parse("*,path_rem=4 a:1", "routes");
        assert_eq!(routes.iter().next().expect("one route").rewrite("h", "/old/x").1, "/x");
    }

    #[test]
    fn a_later_tls_condition_wins_over_a_longer_path() {
        let text = "*,path_beg=/long a:1\n*,ssl=yes b:1";
        assert_eq!(found(text, "o", "/long", true).as_deref(), Some("b:1"));
        assert_eq!(found(text, "o", "/long", false).as_deref(), Some("a:1"));
    }

    #[test]
    fn an_empty_replacement_takes_the_beginning_off() {
        let (routes, problems) = Routes::parse("*,path_beg=/old,replace_beg= a:1", "routes");
        assert_eq!(problems, []);
        let route = routes.iter().next().expect("one route");
        assert_eq!(route.rewrite("h", "/old/x?q").1, "/x?q");
    }

    #[test]
    fn key_files_are_found_beside_the_routes_file() {
        let (mut routes, _) = Routes::parse("a,sig_key=file:k.pem t:1\nb,sig_key=text t:1", "routes");
        routes.resolve_files(Path::new("/etc/gripwire"));
        let keys: Vec<_> = routes.iter().map(|route| route.signing.key.as_deref()).collect();
        assert_eq!(keys, [Some("file:/etc/gripwire/k.pem"), Some("text")]);
        assert_eq!(routes.files().collect::<Vec<_>>(), [Path::new("/etc/gripwire/k.pem")]);
    }

    #[test]
    fn problems_name_their_line_and_what_to_do() {
        let text = "\n# fine\n*\n* nowhere\n* a:0\n*,path_beg= a:1\n*,ssl=maybe a:1\n* a:1\n* b:1\nq,pathbeg=/ a:1\n* zhttp/x\nq2,session a:1";
        let expected = [
            "routes:3: a target is missing: write `condition host:port`",
            "routes:4: \"nowhere\" is no target: write `host:port`, `[address]:port`, `test` or `demo`",
            "routes:5: \"a:0\" is no target: write `host:port`, `[address]:port`, `test` or `demo`",
            "routes:6: `path_beg` needs a value",
            "routes:7: `ssl` is `yes` or `no`, not \"maybe\"",
            "routes:9: another line above has the same condition; this one is left out",
            "routes:10: unknown property `pathbeg` has no effect (did you mean `path_beg`?)",
            "routes:11: \"zhttp/x\": targets are reached by HTTP only; name a host and port",
            "routes:12: `session` has no effect: the session service is not used",
        ];
        assert_eq!(problems(text), expected);
    }
}
