//! The statistics that a core counts for each route, for the reports of the stats socket. Routes without ids are
//! counted together in one entry. An entry exists as long as its route has clients, and until its numbers are handed
//! over. So there are never more entries than clients, however often routes change. A row refers to its entry by
//! number.

use crate::ids::{NameMap, RouteStatsId};
use crate::monitor::RouteStats;
use std::sync::Arc;

/// The statistics of all routes that have clients.
pub struct RouteStatsTable {
    places: Vec<RouteEntry>,
    by_route: NameMap<Arc<str>, RouteStatsId>,
    free: Vec<RouteStatsId>,
    /// Entries with numbers to hand over.
    changed: Vec<RouteStatsId>,
}

#[derive(Default)]
struct RouteEntry {
    /// The route's id. `None` in the first entry only, where routes without ids are counted.
    route: Option<Arc<str>>,
    route_stats: RouteStats,
    has_changed: bool,
}

impl RouteStatsTable {
    pub fn new() -> RouteStatsTable {
        RouteStatsTable {
            places: vec![RouteEntry::default()],
            by_route: NameMap::default(),
            free: Vec::new(),
            changed: Vec::new(),
        }
    }

    /// Counts a new request on the route with the id `route`. Returns the entry in which the request is counted.
    pub fn begin(&mut self, route: Option<&str>) -> RouteStatsId {
        let id = self.place_of(route);
        self.count(id, |route_stats| {
            route_stats.connections += 1;
            route_stats.most = route_stats.most.max(route_stats.connections);
            route_stats.begun += 1;
            route_stats.activity += 1;
        });
        id
    }

    /// A request that was counted in the entry `id` is over, and so is its WebSocket.
    pub fn end(&mut self, id: RouteStatsId) {
        self.count(id, |route_stats| route_stats.connections = route_stats.connections.saturating_sub(1));
    }

    fn place_of(&mut self, route: Option<&str>) -> RouteStatsId {
        let Some(route) = route else { return RouteStatsId(0) };
        if let Some(id) = self.by_route.get(route) {
            return *id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.places.push(RouteEntry::default());
            RouteStatsId((self.places.len() - 1) as u32)
        });
        let route: Arc<str> = route.into();
        self.by_route.insert(route.clone(), id);
        if let Some(place) = self.places.get_mut(id.index()) {
            debug_assert!(place.route.is_none() && place.route_stats == RouteStats::default());
            place.route = Some(route);
        }
        id
    }

    /// The id of the route that is counted in the entry `id`, if the route has an id.
    pub fn route(&self, id: RouteStatsId) -> Option<Arc<str>> {
        self.places.get(id.index())?.route.clone()
    }

    /// Has `count` change the entry `id`. Does nothing for [`RouteStatsId::NONE`].
    pub fn count(&mut self, id: RouteStatsId, count: impl FnOnce(&mut RouteStats)) {
        let Some(place) = self.places.get_mut(id.index()) else { return };
        count(&mut place.route_stats);
        if !std::mem::replace(&mut place.has_changed, true) {
            self.changed.push(id);
        }
    }

    /// Hands over all numbers counted since the last call, and forgets routes without clients.
    pub fn take(&mut self, mut out: impl FnMut(Option<Arc<str>>, RouteStats)) {
        for id in std::mem::take(&mut self.changed) {
            let Some(place) = self.places.get_mut(id.index()) else { continue };
            place.has_changed = false;
            out(place.route.clone(), place.route_stats.take());
            if place.route_stats.connections == 0
                && let Some(route) = place.route.take()
            {
                self.by_route.remove(&route);
                self.free.push(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(route_stats: &mut RouteStatsTable) -> Vec<(Option<Arc<str>>, RouteStats)> {
        let mut all = Vec::new();
        route_stats.take(|route, route_stats| all.push((route, route_stats)));
        all
    }

    #[test]
    fn a_route_has_a_place_while_it_has_clients() {
        let mut route_stats = RouteStatsTable::new();
        let place = route_stats.begin(Some("a"));
        assert_eq!(route_stats.begin(Some("a")), place);
        route_stats.end(place);
        let first = RouteStats { connections: 1, most: 2, begun: 2, activity: 2, ..RouteStats::default() };
        assert_eq!(taken(&mut route_stats), [(Some("a".into()), first)]);
        assert_eq!(taken(&mut route_stats), []);
        route_stats.end(place);
        assert_eq!(
            taken(&mut route_stats),
            [(Some("a".into()), RouteStats { most: 1, ..RouteStats::default() })]
        );
        assert_eq!(route_stats.begin(Some("b")), place, "its entry is used again");
        assert_eq!(route_stats.route(place), Some("b".into()));
    }

    #[test]
    fn routes_without_ids_are_counted_together() {
        let mut route_stats = RouteStatsTable::new();
        let place = route_stats.begin(None);
        route_stats.end(place);
        route_stats.count(RouteStatsId::NONE, |route_stats| route_stats.begun += 1);
        let one = RouteStats { most: 1, begun: 1, activity: 1, ..RouteStats::default() };
        assert_eq!(taken(&mut route_stats), [(None, one)]);
        assert_eq!((route_stats.begin(None), route_stats.route(place)), (place, None));
    }
}
