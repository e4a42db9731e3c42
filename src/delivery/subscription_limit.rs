//! Refused subscriptions: channels that a client is not subscribed to because it has
//! `limits.subscriptions_per_connection` channels already. They are counted and logged once a second. The next request
//! of this core to the application reports them in a header. That report is by route, because most holds make no
//! further request of their own.

use super::Delivery;
use crate::origin::Route;
use crate::proto::grip::{GRIP_SUBSCRIPTIONS_REFUSED, grip_subscriptions_refused};
use http::HeaderMap;
use rustc_hash::FxHashMap;

/// Refused subscriptions that applications and the log have not been told of.
#[derive(Default)]
pub(super) struct RefusedSubscriptions {
    /// For applications, by the id of their route.
    untold: FxHashMap<String, Refused>,
    /// For the log: the route and the channel of the first refused subscription since the last log line.
    complaint: Option<(String, String)>,
}

/// The refused subscriptions of one route.
struct Refused {
    count: u64,
    /// The first refused channel, by the name that publishers use.
    first: String,
}

impl Delivery {
    /// How many channels a client may be subscribed to.
    pub fn subscription_limit(&self) -> usize {
        self.context.settings().limits.subscriptions_per_connection
    }

    /// Notes that a client of `route` was not subscribed to `channels`, which its application named. The names are
    /// those that publishers use.
    pub fn refuse_subscriptions<'c>(&self, route: &Route, channels: impl Iterator<Item = &'c str>) {
        let mut channels = channels.peekable();
        let Some(first) = channels.peek().map(|first| (*first).to_owned()) else { return };
        let count = channels.count() as u64;
        self.context.metrics.refused_subscriptions_total.add(count);
        let mut refused = self.refused_subscriptions.borrow_mut();
        refused.complaint.get_or_insert_with(|| (route.id.clone(), first.clone()));
        refused.untold.entry(route.id.clone()).or_insert(Refused { count: 0, first }).count += count;
    }

    /// Adds a header for the application of `route` that says how many subscriptions were refused since the last such
    /// header.
    pub fn tell_of_refused_subscriptions(&self, headers: &mut HeaderMap, route: &Route) {
        let Some(refused) = self.refused_subscriptions.borrow_mut().untold.remove(&route.id) else { return };
        let prefix = route.prefix.as_deref().unwrap_or_default();
        let first = refused.first.strip_prefix(prefix).unwrap_or(&refused.first);
        let value = grip_subscriptions_refused(refused.count, self.subscription_limit(), first);
        headers.insert(GRIP_SUBSCRIPTIONS_REFUSED, value);
    }

    /// Logs refused subscriptions. Called once a second.
    pub fn log_refused_subscriptions(&self) {
        let complaint = self.refused_subscriptions.borrow_mut().complaint.take();
        let channels = self.reported_refused.of(&self.context.metrics.refused_subscriptions_total);
        if let Some((route, first)) = complaint {
            let (core, limit) = (self.context.id.0, self.subscription_limit());
            tracing::warn!(
                core,
                channels,
                limit,
                route,
                first,
                "clients were not subscribed to all channels that their application named (limits.subscriptions_per_connection)"
            );
        }
    }
}
