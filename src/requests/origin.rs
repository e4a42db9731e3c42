//! Where a client's request went: what links and filters of its application are relative to later.

use super::Requests;
use super::forwarding::{client_network, is_https};
use crate::clients::Request;
use crate::origin::Route;
use crate::proto::client_network::ClientNetwork;
use crate::proto::grip::LinkTarget;
use std::sync::Arc;

/// What a client asked for, and where that went: what its links are relative to at first, and whom they may lead to by
/// the routes. Requests that are made for the client later count among its own.
pub struct Origin {
    asked_for: LinkTarget,
    route: Arc<Route>,
    client: ClientNetwork,
}

impl Origin {
    /// What `client` asked for, by `route`.
    pub fn at(asked_for: LinkTarget, route: &Arc<Route>, client: ClientNetwork) -> Origin {
        Origin { asked_for, route: route.clone(), client }
    }

    /// Who the client is, as far as its address tells.
    pub fn client(&self) -> ClientNetwork {
        self.client
    }

    /// What the client asked for.
    pub fn asked_for(&self) -> &LinkTarget {
        &self.asked_for
    }

    /// Where that went.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }
}

impl Requests {
    /// Where the answer to a client's request comes from.
    pub fn origin_of(&self, request: &Request, route: &Arc<Route>) -> Origin {
        let settings = self.context.settings();
        let https = is_https(&settings, request);
        let (authority, path_and_query) = (request.host.clone(), request.target.clone());
        let client = client_network(&settings, request);
        Origin::at(LinkTarget { https, authority, path_and_query }, route, client)
    }
}
