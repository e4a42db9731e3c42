//! Clients that are exempt from limits by address: Unix sockets, loopback, proxies, and other addresses that many
//! clients share.

use super::trusted_proxies::{NotAProxy, TrustedProxies};
use std::net::IpAddr;

/// Addresses and networks that may have any number of connections.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exempt {
    named: TrustedProxies,
    /// Trusted proxies are exempt, too.
    trusted_proxies: bool,
}

/// A word of the setting that names no exemption.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotExempt {
    /// The word is no address, and no known name.
    #[error(
        "`{0}` exempts nobody: write an address, a network such as `10.0.0.0/8`, `loopback`, `unix` or `trusted_proxies`"
    )]
    Word(String),
    /// The address has bits beyond its network's length.
    #[error(transparent)]
    Host(NotAProxy),
}

impl Exempt {
    /// Exempts loopback addresses, Unix sockets and trusted proxies.
    pub fn usual() -> Exempt {
        let mut exempt = Exempt { trusted_proxies: true, ..Exempt::default() };
        // Both words are known, so neither fails.
        let _ = exempt.add("loopback").and_then(|()| exempt.add("unix"));
        exempt
    }

    /// Adds the clients that `word` names: an address, a network, `loopback`, `unix` or `trusted_proxies`.
    ///
    /// # Errors
    /// `word` names no clients.
    pub fn add(&mut self, word: &str) -> Result<(), NotExempt> {
        if word.trim() == "trusted_proxies" {
            self.trusted_proxies = true;
            return Ok(());
        }
        self.named.add(word).map_err(|error| match error {
            NotAProxy::Word(word) => NotExempt::Word(word),
            NotAProxy::Host(..) => NotExempt::Host(error),
        })
    }

    /// Whether a client at `address` is exempt; `trusted` has the trusted proxies. Clients of Unix sockets have no
    /// address.
    pub fn has(&self, address: Option<IpAddr>, trusted: Option<&TrustedProxies>) -> bool {
        let is_trusted = || trusted.is_some_and(|trusted| trusted.trusts(address));
        self.named.trusts(address) || self.trusted_proxies && is_trusted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exempt(words: &[&str]) -> Exempt {
        let mut exempt = Exempt::default();
        words.iter().for_each(|word| exempt.add(word).unwrap());
        exempt
    }

    #[test]
    fn words_and_networks_exempt_whom_they_name() {
        let [local, client, proxy] = ["127.0.0.5", "192.0.2.1", "10.1.2.3"].map(|it| it.parse().ok());
        let mut trusted = TrustedProxies::default();
        trusted.add("10.0.0.0/8").unwrap();
        let all = exempt(&["loopback", "unix", "trusted_proxies"]);
        assert_eq!(all, Exempt::usual());
        assert!(all.has(local, None) && all.has(None, None) && all.has(proxy, Some(&trusted)));
        assert!(!all.has(proxy, None) && !all.has(client, Some(&trusted)));
        assert!(exempt(&["192.0.2.0/24"]).has(client, None));
        let nobody = exempt(&[]);
        assert!([local, client, proxy, None].iter().all(|it| !nobody.has(*it, Some(&trusted))));
    }

    #[test]
    fn a_word_that_names_nobody_is_refused_with_those_that_do() {
        let refusal = |word: &str| Exempt::default().add(word).unwrap_err().to_string();
        assert!(refusal("proxies").starts_with("`proxies` exempts nobody: write an address"));
        assert!(refusal("proxies").ends_with("`unix` or `trusted_proxies`"));
        assert!(refusal("10.1.2.3/8").ends_with("write `10.0.0.0/8`"));
    }
}
