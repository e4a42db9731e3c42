//! Finds the route of a client's request, answers requests that fail, and logs requests.

use super::Requests;
use super::forwarding::{client_address, client_network, is_https};
use crate::clients::answer;
use crate::clients::counting::request_bytes;
use crate::clients::{Exchange, Request};
use crate::ids::ApplicationId;
use crate::origin::{Lookup, OriginError, Refusal, Route};
use http::{HeaderName, header};
use std::rc::Rc;
use std::sync::Arc;

/// The header with which a client names the id of its route.
const PUSHPIN_ROUTE: HeaderName = HeaderName::from_static("pushpin-route");

impl Requests {
    /// The route of a request. From now on the request is counted for that route.
    pub fn find_route(&self, exchange: &Exchange, request: &Request, websocket: bool) -> Option<Arc<Route>> {
        let host = host_name(&request.host).to_ascii_lowercase();
        let path = path_of(&request.target);
        let tls = is_https(&self.context.settings(), request);
        let lookup = Lookup { host: &host, path, tls, websocket };
        let asked = self.asked_route(request);
        let route = {
            let routes = self.routes.borrow();
            asked.map_or_else(|| routes.find(&lookup), |id| routes.find_by_id(id, &lookup)).cloned()
        };
        exchange.owner().is_at(client_network(&self.context.settings(), request));
        exchange.owner().asks(route.as_ref().and_then(|route| route.application()));
        if self.clients.route_is_known(exchange.slot, route.as_deref(), websocket) {
            let asked =
                || request_bytes(request.method.as_str(), request.target.as_bytes(), &request.headers);
            exchange.count(|route_stats| route_stats.client.received.header_bytes += asked());
        }
        route
    }

    /// The targets of the route whose application this is, for messages.
    pub fn name_of(&self, application: ApplicationId) -> Option<String> {
        let routes = self.routes.borrow();
        let route = routes.iter().find(|route| route.application() == Some(application))?;
        Some(route.target_names())
    }

    /// The id of the route that a request names, if `proxy.accept_pushpin_route` allows that.
    fn asked_route<'r>(&self, request: &'r Request) -> Option<&'r str> {
        let named =
            request.headers.get(PUSHPIN_ROUTE).filter(|_| self.context.settings().proxy.accept_pushpin_route);
        named?.to_str().ok().filter(|id| !id.is_empty())
    }

    /// Answers a request that failed, and logs the reason.
    pub fn fail(
        &self,
        exchange: &Rc<Exchange>,
        request: &Request,
        route: Option<&Route>,
        error: &OriginError,
    ) {
        let debug = self.context.settings().proxy.debug || route.is_some_and(|route| route.debug);
        let Refusal { status, body, retry_after_s } = error.answer(debug);
        // Queue timeouts come in large numbers, so they are logged once a second and not here.
        let is_told_later = matches!(error, OriginError::QueueTimeout { .. });
        if !is_told_later && route.is_none_or(|route| route.logs(1)) {
            let target = self.logged(&request.target);
            tracing::warn!(method = %request.method, host = request.host, target, %error, "request failed");
        }
        let mut refusal = answer::text(status, body.into_owned());
        if let Some(seconds) = retry_after_s {
            refusal.headers.insert(header::RETRY_AFTER, seconds.into());
        }
        answer::send_whole(exchange, &refusal);
    }

    /// A target for the log. Unless `log.queries` is set, it is logged without its query, because queries may contain
    /// secrets such as tokens.
    pub fn logged<'t>(&self, target: &'t str) -> &'t str {
        match self.context.settings().log.queries {
            true => target,
            false => path_of(target),
        }
    }

    /// Logs the outcome of `request`, if requests are logged. `bytes` are those of the answer; `None` if the client is
    /// held.
    pub fn log(
        &self,
        exchange: &Exchange,
        request: &Request,
        route: &Route,
        status: u16,
        bytes: Option<u64>,
    ) {
        let settings = self.context.settings();
        if !settings.log.requests || !route.logs(2) {
            return;
        }
        let said = |name, is_wanted: bool| request.headers.get(name).filter(|_| is_wanted)?.to_str().ok();
        let forwarded_for = said("x-forwarded-for", settings.log.forwarded_for);
        let user_agent = said("user-agent", settings.log.user_agent);
        let (host, target) = (request.host.as_str(), self.logged(&request.target));
        let (from, route, method) =
            (request.peer.map(|peer| tracing::field::display(peer.ip())), route.id.as_str(), &request.method);
        let client = client_address(&settings, request)
            .filter(|client| Some(*client) != request.peer.map(|peer| peer.ip()));
        let client = client.map(tracing::field::display);
        let connection = bytes.is_none().then(|| self.clients.id_of_place(exchange.slot));
        let connection = connection.map(tracing::field::display);
        let what = if bytes.is_some() { "answered" } else { "accepted" };
        tracing::info!(
            %method, host, target, from, client, forwarded_for, user_agent, route, status, bytes, connection, "{what}"
        );
    }
}

/// The error of a request for which there is no route.
pub fn no_route(request: &Request) -> OriginError {
    OriginError::NoRoute { host: request.host.clone(), path: path_of(&request.target).to_owned() }
}

/// The host without its port.
pub fn host_name(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or_default(),
    }
}

fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}
