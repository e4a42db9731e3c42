//! The limits for each client address, made from the settings for the wire, which applies them.

use super::Clients;
use crate::config::Config;
use crate::wire::AddressLimits;

impl Clients {
    /// Has the wire apply `settings` to connections that begin from now on.
    pub fn limit_addresses(&self, settings: &Config) {
        let mut wire = self.wire.borrow_mut();
        let limits = address_limits(settings, self.context.cores.saturating_mul(wire.client_slots()));
        wire.set_address_limits(limits);
    }
}

/// The limits of one address in a process with `slots` slots for clients. Without a setting, an address may use half of
/// the slots.
fn address_limits(settings: &Config, slots: usize) -> AddressLimits {
    let limits = &settings.limits;
    let connections = limits.connections_per_address.unwrap_or((slots / 2).max(1));
    AddressLimits {
        connections: u32::try_from(connections).unwrap_or(u32::MAX),
        new_per_s: limits.new_connections_per_address_per_s,
        handshakes_per_s: limits.handshakes_per_address_per_s,
        exempt: limits.exempt.clone(),
        trusted_proxies: settings.http.trusted_proxies.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_may_have_half_of_all_slots_unless_the_settings_say_otherwise() {
        let mut settings = Config::default();
        assert_eq!(address_limits(&settings, 1_000).connections, 500);
        assert_eq!(address_limits(&settings, 1).connections, 1);
        for (said, connections) in [(0, 0), (7, 7), (usize::MAX, u32::MAX)] {
            settings.limits.connections_per_address = Some(said);
            assert_eq!(address_limits(&settings, 1_000).connections, connections);
        }
    }
}
