//! What a core counts for each route, for the reports of the stats socket. Routes without ids of their own are counted
//! together. A route has a place here as long as it has clients, and until what was counted is handed over: so however
//! often routes change, there are no more places than clients. A row knows its place by number.

use crate::ids::{NameMap, TallyId};
use crate::monitor::Tally;
use std::sync::Arc;

/// The figures of all routes that have clients.
pub struct Tallies {
    places: Vec<Place>,
    by_route: NameMap<Arc<str>, TallyId>,
    free: Vec<TallyId>,
    /// Those with something to hand over.
    changed: Vec<TallyId>,
}

#[derive(Default)]
struct Place {
    /// The route's own id; `None` at the first place only, where the others are counted.
    route: Option<Arc<str>>,
    tally: Tally,
    has_changed: bool,
}

impl Tallies {
    pub fn new() -> Tallies {
        Tallies {
            places: vec![Place::default()],
            by_route: NameMap::default(),
            free: Vec::new(),
            changed: Vec::new(),
        }
    }

    /// A request begins on the route with this id of its own; where it is counted.
    pub fn begin(&mut self, route: Option<&str>) -> TallyId {
        let id = self.place_of(route);
        self.count(id, |tally| {
            tally.connections += 1;
            tally.most = tally.most.max(tally.connections);
            tally.begun += 1;
            tally.activity += 1;
        });
        id
    }

    /// It is over, and so is its WebSocket.
    pub fn end(&mut self, id: TallyId) {
        self.count(id, |tally| tally.connections = tally.connections.saturating_sub(1));
    }

    fn place_of(&mut self, route: Option<&str>) -> TallyId {
        let Some(route) = route else { return TallyId(0) };
        if let Some(id) = self.by_route.get(route) {
            return *id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            TallyId((self.places.len() - 1) as u32)
        });
        let route: Arc<str> = route.into();
        self.by_route.insert(route.clone(), id);
        if let Some(place) = self.places.get_mut(id.index()) {
            debug_assert!(place.route.is_none() && place.tally == Tally::default());
            place.route = Some(route);
        }
        id
    }

    /// The id of the route that is counted at `id`.
    pub fn route(&self, id: TallyId) -> Option<Arc<str>> {
        self.places.get(id.index())?.route.clone()
    }

    /// Counts something; nothing at [`TallyId::NONE`].
    pub fn count(&mut self, id: TallyId, count: impl FnOnce(&mut Tally)) {
        let Some(place) = self.places.get_mut(id.index()) else { return };
        count(&mut place.tally);
        if !std::mem::replace(&mut place.has_changed, true) {
            self.changed.push(id);
        }
    }

    /// Hands over what was counted since the last time, and forgets routes without clients.
    pub fn take(&mut self, mut out: impl FnMut(Option<Arc<str>>, Tally)) {
        for id in std::mem::take(&mut self.changed) {
            let Some(place) = self.places.get_mut(id.index()) else { continue };
            place.has_changed = false;
            out(place.route.clone(), place.tally.take());
            if place.tally.connections == 0
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

    fn taken(tallies: &mut Tallies) -> Vec<(Option<Arc<str>>, Tally)> {
        let mut all = Vec::new();
        tallies.take(|route, tally| all.push((route, tally)));
        all
    }

    #[test]
    fn a_route_has_a_place_while_it_has_clients() {
        let mut tallies = Tallies::new();
        let place = tallies.begin(Some("a"));
        assert_eq!(tallies.begin(Some("a")), place);
        tallies.end(place);
        let first = Tally { connections: 1, most: 2, begun: 2, activity: 2, ..Tally::default() };
        assert_eq!(taken(&mut tallies), [(Some("a".into()), first)]);
        assert_eq!(taken(&mut tallies), []);
        tallies.end(place);
        assert_eq!(taken(&mut tallies), [(Some("a".into()), Tally { most: 1, ..Tally::default() })]);
        assert_eq!(tallies.begin(Some("b")), place, "its place is used again");
        assert_eq!(tallies.route(place), Some("b".into()));
    }

    #[test]
    fn routes_without_ids_are_counted_together() {
        let mut tallies = Tallies::new();
        let place = tallies.begin(None);
        tallies.end(place);
        tallies.count(TallyId::NONE, |tally| tally.begun += 1);
        let one = Tally { most: 1, begun: 1, activity: 1, ..Tally::default() };
        assert_eq!(taken(&mut tallies), [(None, one)]);
        assert_eq!((tallies.begin(None), tallies.route(place)), (place, None));
    }
}
