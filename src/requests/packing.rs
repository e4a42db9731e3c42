//! Packs where a client's request went, for the hand-over to another process. The other process may have other routes:
//! it finds the client's route by its id, or as it would for a new request. A client whose route is gone keeps what it
//! has, and its next request to the application fails.

use super::{Origin, Requests};
use crate::origin::{Lookup, Route};
use crate::proto::client_network::ClientNetwork;
use crate::proto::grip::LinkTarget;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where a client's request went, as a value.
#[derive(Serialize, Deserialize)]
pub struct PackedOrigin {
    asked_for: LinkTarget,
    client: ClientNetwork,
    route: String,
}

impl PackedOrigin {
    /// The origin as a value.
    pub fn of(origin: &Origin) -> PackedOrigin {
        PackedOrigin {
            asked_for: origin.asked_for().clone(),
            client: origin.client(),
            route: origin.route().id.clone(),
        }
    }
}

impl Requests {
    /// The origin that was packed in another process.
    pub fn origin_again(&self, packed: PackedOrigin) -> Origin {
        let PackedOrigin { asked_for, client, route } = packed;
        let route = self.route_again(&route, &asked_for, false);
        Origin::at(asked_for, &route, client)
    }

    /// The route of a client of another process, which had the id `id` there.
    pub fn route_again(&self, id: &str, asked_for: &LinkTarget, websocket: bool) -> Arc<Route> {
        let routes = self.routes.borrow();
        let (host, _) = asked_for.host_and_port();
        let path = asked_for.path_and_query.split('?').next().unwrap_or_default();
        let lookup = Lookup { host: &host, path, tls: asked_for.https, websocket };
        let same = routes.iter().find(|route| route.id == id);
        same.or_else(|| routes.find(&lookup)).cloned().unwrap_or_else(|| Route::gone(id).into())
    }
}
