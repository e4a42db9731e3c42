//! Names to addresses, for the connector. Addresses and `localhost` need no lookup; other names are looked up
//! by the system's resolver on a blocking thread and remembered for a few seconds, on each core by
//! itself. One name is looked up once at a time, however many requests wait for it.

use crate::runtime;
use glommio::sync::Semaphore;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A core's names.
pub(super) struct Resolver {
    names: RefCell<FxHashMap<String, Rc<Name>>>,
}

struct Name {
    /// Held by whoever is asking the system.
    asking: Semaphore,
    answer: RefCell<Option<(Instant, Rc<[IpAddr]>)>>,
}

impl Resolver {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Resolver { names: RefCell::default() }
    }

    /// The addresses of `host` in the order they should be tried.
    pub async fn resolve(&self, host: &str) -> io::Result<Rc<[IpAddr]>> {
        if let Some(known) = literal(host) {
            return Ok(known);
        }
        let name = self.names.borrow_mut().entry(host.to_owned()).or_default().clone();
        // Closed never: the semaphore lives in `name`.
        let _turn =
            name.asking.acquire_permit(1).await.map_err(|closed| io::Error::other(closed.to_string()))?;
        if let Some(fresh) = name.fresh(runtime::now()) {
            return Ok(fresh);
        }
        let answer = lookup(host.to_owned()).await?;
        *name.answer.borrow_mut() = Some((runtime::now(), answer.clone()));
        Ok(answer)
    }

    /// Forgets what is too old to be used and not being asked for.
    pub fn purge(&self, now: Instant) {
        self.names.borrow_mut().retain(|_, name| Rc::strong_count(name) > 1 || name.fresh(now).is_some());
    }
}

impl Name {
    fn fresh(&self, now: Instant) -> Option<Rc<[IpAddr]>> {
        let answer = self.answer.borrow();
        let (at, addresses) = answer.as_ref()?;
        (now.saturating_duration_since(*at) < TTL).then(|| addresses.clone())
    }
}

impl Default for Name {
    fn default() -> Self {
        Name { asking: Semaphore::new(1), answer: RefCell::new(None) }
    }
}

/// What needs no lookup (RFC 6761 section 6.3 for `localhost`).
fn literal(host: &str) -> Option<Rc<[IpAddr]>> {
    if host.eq_ignore_ascii_case("localhost") {
        return Some(Rc::from([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]));
    }
    host.parse().ok().map(|address| Rc::from([address]))
}

async fn lookup(host: String) -> io::Result<Rc<[IpAddr]>> {
    let ask = move || -> io::Result<Vec<IpAddr>> {
        Ok((host.as_str(), 0).to_socket_addrs()?.map(|address| address.ip()).collect())
    };
    let addresses = runtime::blocking(ask).await?;
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses.into_iter().take(ADDRESSES).collect())
}

/// Short, because the system's resolver does not tell the record's own.
const TTL: Duration = Duration::from_secs(5);
/// Beyond this many addresses, trying one after the other helps nobody.
const ADDRESSES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::LocalExecutor;

    #[test]
    fn addresses_and_localhost_need_no_lookup() {
        let cases: [(&str, &[&str]); 4] = [
            ("192.0.2.1", &["192.0.2.1"]),
            ("2001:db8::1", &["2001:db8::1"]),
            ("LocalHost", &["127.0.0.1", "::1"]),
            ("example.org", &[]),
        ];
        for (host, expected) in cases {
            let found = literal(host).unwrap_or_else(|| Rc::from([]));
            assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{host}");
        }
    }

    #[test]
    fn an_answer_is_remembered_until_it_is_old() {
        LocalExecutor::default().run(async {
            let resolver = Resolver::new();
            let name = Rc::new(Name::default());
            let remembered: Rc<[IpAddr]> = Rc::from([IpAddr::from([192, 0, 2, 1])]);
            *name.answer.borrow_mut() = Some((Instant::now(), remembered.clone()));
            resolver.names.borrow_mut().insert("app.invalid".into(), name);
            assert_eq!(resolver.resolve("app.invalid").await.unwrap(), remembered);
            resolver.purge(Instant::now());
            assert_eq!(resolver.names.borrow().len(), 1);
            resolver.purge(Instant::now() + TTL);
            assert_eq!(resolver.names.borrow().len(), 0);
        });
    }

    #[test]
    fn a_name_that_does_not_exist_is_an_error() {
        LocalExecutor::default().run(async {
            // Never in any DNS (RFC 6761 section 6.4), and too long a label to be asked for.
            let host = format!("{}.invalid", "a".repeat(64));
            assert!(Resolver::new().resolve(&host).await.is_err());
        });
    }
}
