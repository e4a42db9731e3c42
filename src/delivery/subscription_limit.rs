//! Channels that a client does not get because it has `subscriptions_per_connection` of them already. They are counted,
//! an operator reads of them once a second, and the next request that this core makes of the application says so: by
//! route, because most of what is held makes no further request of its own.

use super::Delivery;
use crate::origin::Route;
use crate::proto::grip::{GRIP_SUBSCRIPTIONS_REFUSED, grip_subscriptions_refused};
use http::HeaderMap;
use rustc_hash::FxHashMap;

/// What applications, and the operator, are to be told.
#[derive(Default)]
pub(super) struct RefusedSubscriptions {
    /// By the ids of routes.
    untold: FxHashMap<String, Refused>,
    /// The route and the channel that the operator has not read of.
    complaint: Option<(String, String)>,
}

/// Channels that were left out.
struct Refused {
    count: u64,
    /// As publishers know it.
    first: String,
}

impl Delivery {
    /// How many channels a client may have.
    pub fn subscription_limit(&self) -> usize {
        self.context.settings().limits.subscriptions_per_connection
    }

    /// `channels`, as publishers know them, which an application of `route` has named for a client are left out.
    pub fn refuse_subscriptions<'c>(&self, route: &Route, channels: impl Iterator<Item = &'c str>) {
        let mut channels = channels.peekable();
        let Some(first) = channels.peek().map(|first| (*first).to_owned()) else { return };
        let count = channels.count() as u64;
        self.context.metrics.refused_subscriptions_total.add(count);
        let mut refused = self.refused_subscriptions.borrow_mut();
        refused.complaint.get_or_insert_with(|| (route.id.clone(), first.clone()));
        refused.untold.entry(route.id.clone()).or_insert(Refused { count: 0, first }).count += count;
    }

    /// Tells the application of `route` how many channels were left out since it was last told.
    pub fn tell_of_refused_subscriptions(&self, headers: &mut HeaderMap, route: &Route) {
        let Some(refused) = self.refused_subscriptions.borrow_mut().untold.remove(&route.id) else { return };
        let prefix = route.prefix.as_deref().unwrap_or_default();
        let first = refused.first.strip_prefix(prefix).unwrap_or(&refused.first);
        let value = grip_subscriptions_refused(refused.count, self.subscription_limit(), first);
        headers.insert(GRIP_SUBSCRIPTIONS_REFUSED, value);
    }

    /// What an operator should hear of it, at most once a second.
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
                "clients were not subscribed to all channels that their application named (subscriptions_per_connection)"
            );
        }
    }
}
