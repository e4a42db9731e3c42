//! Where a client's request went. The URIs of its application's links and filters are relative to that.

use super::Requests;
use super::forwarding::{client_network, is_https};
use crate::clients::Request;
use crate::origin::Route;
use crate::proto::client_network::ClientNetwork;
use crate::proto::grip::LinkTarget;
use std::sync::Arc;

/// The URI of a client's request, its route, and the client's network. The client's first links are relative to the
/// URI, the route limits where links may lead, and later requests for the client count to its network.
pub struct Origin {
    asked_for: LinkTarget,
    route: Arc<Route>,
    client: ClientNetwork,
}

impl Origin {
    /// The origin of a request for `asked_for` from `client`, which took `route`.
    pub fn at(asked_for: LinkTarget, route: &Arc<Route>, client: ClientNetwork) -> Origin {
        Origin { asked_for, route: route.clone(), client }
    }

    /// The network of the client's address.
    pub fn client(&self) -> ClientNetwork {
        self.client
    }

    /// The URI of the client's request.
    pub fn asked_for(&self) -> &LinkTarget {
        &self.asked_for
    }

    /// The route of the client's request.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }
}

impl Requests {
    /// The origin of `request`, which took `route`.
    pub fn origin_of(&self, request: &Request, route: &Arc<Route>) -> Origin {
        let settings = self.context.settings();
        let https = is_https(&settings, request);
        let (authority, path_and_query) = (request.host.clone(), request.target.clone());
        let client = client_network(&settings, request);
        Origin::at(LinkTarget { https, authority, path_and_query }, route, client)
    }
}
