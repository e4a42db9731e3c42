//! Writes requests as applications get them: the client's request, with the headers that this server adds about itself
//! and the client.

use super::Requests;
use super::forwarding::{believes_peer, client_network, is_https};
use crate::channel::HeardUpTo;
use crate::clients::Request;
use crate::origin::{self, RequestBody, Route};
use crate::proto::grip;
use bytes::Bytes;
use http::HeaderMap;

/// The protocol that a client speaks.
#[derive(Clone, Copy)]
pub enum Scheme {
    /// HTTP.
    Http,
    /// WebSocket.
    WebSocket,
}

impl Scheme {
    /// The scheme of a URI for this protocol over TLS.
    fn secure(self) -> &'static str {
        match self {
            Scheme::Http => "https",
            Scheme::WebSocket => "wss",
        }
    }
}

impl Requests {
    /// The request as its origin gets it.
    pub fn origin_request(
        &self,
        request: &Request,
        route: &Route,
        body: RequestBody,
        scheme: Scheme,
    ) -> origin::Request {
        let settings = self.context.settings();
        let (host, path_and_query) = route.rewrite(&request.host, &request.target);
        let proxy = &settings.proxy;
        let speaks_for_us = !route.no_grip && !route.unsigned && !request.is_trusted;
        let rules = origin::Rules {
            route,
            proxy,
            peer: request.peer.map(|peer| peer.ip()),
            believes_peer: believes_peer(&settings, request),
            secure_scheme: is_https(&settings, request).then_some(scheme.secure()),
            is_trusted: request.is_trusted,
            grip_sig: match speaks_for_us {
                true => self.signatures.borrow().token(route),
                false => None,
            },
            grip_feature: grip::GRIP_FEATURE,
        };
        let mut headers = origin::request_headers(&request.headers, rules);
        if speaks_for_us {
            self.delivery.tell_of_refused_subscriptions(&mut headers, route);
        }
        let path_and_query = Bytes::from(path_and_query);
        let client = client_network(&settings, request);
        origin::Request { method: request.method.clone(), host, path_and_query, headers, body, client }
    }
}

/// Adds headers that tell an application which items its client has got. Channels have the names that the application
/// gave them.
pub fn say_what_was_heard(headers: &mut HeaderMap, heard: &[HeardUpTo], route: &Route) {
    for (channel, id) in heard {
        let prefix = route.prefix.as_deref().unwrap_or_default();
        let channel = channel.strip_prefix(prefix).unwrap_or(channel);
        if let Some(value) = grip::grip_last(channel, id) {
            headers.append(grip::GRIP_LAST, value);
        }
    }
}
