//! Looks up the addresses of names for the connector. IP addresses and `localhost` need no lookup. Other names are
//! looked up by the system's resolver on a blocking thread; each core remembers the addresses for a few seconds. A
//! name has one lookup at a time, however many requests wait for it. While a name is in use it is looked up again in
//! the background, so kept connections follow a change of its addresses. While the resolver fails, the last addresses
//! stay in force.

use crate::bell::Bell;
use crate::ids::NameMap;
use crate::runtime;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The names that a core knows.
pub(super) struct Resolver {
    names: RefCell<NameMap<String, Rc<Name>>>,
}

struct Name {
    host: String,
    /// Whether a lookup is under way.
    is_asked: Cell<bool>,
    /// Rung when the lookup has ended.
    answered: Bell,
    answer: RefCell<Option<(Instant, Rc<[IpAddr]>)>>,
    /// The last failed lookup of a name without known addresses.
    failure: RefCell<Option<Failure>>,
}

/// A failed lookup, for all tasks that wait for it.
struct Failure {
    /// The number of the ring of `Name::answered` that tells of it.
    ring: u64,
    kind: io::ErrorKind,
    text: String,
}

impl Resolver {
    /// A resolver that knows no names.
    pub fn new() -> Self {
        Resolver { names: RefCell::default() }
    }

    /// The addresses of `host` in the order in which they should be tried.
    ///
    /// # Errors
    /// The system's resolver failed, or the name has no address.
    pub async fn resolve(&self, host: &str) -> io::Result<Rc<[IpAddr]>> {
        if let Some(known) = literal(host) {
            return Ok(known);
        }
        self.name(host).current().await
    }

    /// Ensures that the addresses of `host` are not older than [`FOLLOWED`]; waits for a lookup only if they are.
    pub async fn keep_current(&self, host: &str) {
        if literal(host).is_some() {
            return;
        }
        let name = self.name(host);
        match name.age(runtime::now()) {
            Some(age) if age < TTL => {}
            Some(age) if age < FOLLOWED => {
                if !name.is_asked.get() {
                    runtime::spawn(async move { drop(name.current().await) }).detach();
                }
            }
            _ => drop(name.current().await),
        }
    }

    /// Whether `address` is one of the known addresses of `host`.
    pub fn leads_to(&self, host: &str, address: IpAddr) -> bool {
        let names = self.names.borrow();
        let answer = names.get(host).map(|name| name.answer.borrow());
        answer.is_none_or(|answer| answer.as_ref().is_none_or(|(_, known)| known.contains(&address)))
    }

    /// Sets the addresses of `host` as if a lookup had just returned them.
    #[cfg(test)]
    pub fn remember(&self, host: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().expect("an address")).collect();
        *self.name(host).answer.borrow_mut() = Some((runtime::now(), addresses));
    }

    /// Forgets addresses that are too old, unless a lookup is under way.
    pub fn purge(&self, now: Instant) {
        let is_wanted =
            |name: &Rc<Name>| Rc::strong_count(name) > 1 || name.age(now).is_some_and(|age| age < REMEMBERED);
        self.names.borrow_mut().retain(|_, name| is_wanted(name));
    }

    fn name(&self, host: &str) -> Rc<Name> {
        if let Some(name) = self.names.borrow().get(host) {
            return name.clone();
        }
        let name = Rc::new(Name {
            host: host.to_owned(),
            is_asked: Cell::default(),
            answered: Bell::default(),
            answer: RefCell::default(),
            failure: RefCell::default(),
        });
        self.names.borrow_mut().insert(host.to_owned(), name.clone());
        name
    }
}

impl Name {
    async fn current(&self) -> io::Result<Rc<[IpAddr]>> {
        let _asking = loop {
            if let Some((at, answer)) = &*self.answer.borrow()
                && runtime::now().saturating_duration_since(*at) < TTL
            {
                return Ok(answer.clone());
            }
            if let Some(asking) = Asking::begin(self) {
                break asking;
            }
            let seen = self.answered.rings();
            self.answered.rung().await;
            if let Some(failure) = &*self.failure.borrow()
                && failure.ring > seen
            {
                return Err(io::Error::new(failure.kind, failure.text.clone()));
            }
        };
        let looked_up = lookup(self.host.clone()).await;
        let before = self.answer.borrow().as_ref().map(|(_, answer)| answer.clone());
        let answer = match (looked_up, before) {
            (Ok(answer), _) => answer,
            (Err(error), Some(answer)) => {
                let host = &self.host;
                tracing::warn!(
                    %error,
                    host,
                    "looking up a name failed, so its last addresses are used; check the system's resolver"
                );
                answer
            }
            (Err(error), None) => {
                self.failed(&error);
                return Err(error);
            }
        };
        *self.answer.borrow_mut() = Some((runtime::now(), answer.clone()));
        Ok(answer)
    }

    /// Notes that the lookup under way has failed. The next ring tells the waiting tasks.
    fn failed(&self, error: &io::Error) {
        let failure =
            Failure { ring: self.answered.rings() + 1, kind: error.kind(), text: error.to_string() };
        *self.failure.borrow_mut() = Some(failure);
    }

    /// How old the addresses are.
    fn age(&self, now: Instant) -> Option<Duration> {
        self.answer.borrow().as_ref().map(|(at, _)| now.saturating_duration_since(*at))
    }
}

/// A lookup of a name is under way; it ends when this is dropped.
struct Asking<'n>(&'n Name);

impl Asking<'_> {
    /// Begins a lookup; `None` while another one is under way.
    fn begin(name: &Name) -> Option<Asking<'_>> {
        (!name.is_asked.replace(true)).then(|| Asking(name))
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.is_asked.set(false);
        self.0.answered.ring();
    }
}

/// The addresses of hosts that need no lookup (RFC 6761 section 6.3 for `localhost`).
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

/// How long addresses are used without a new lookup. Short, because the system's resolver does not tell the record's
/// TTL.
const TTL: Duration = Duration::from_secs(5);
/// Requests follow a change of addresses within this time, on kept connections too.
const FOLLOWED: Duration = Duration::from_secs(8);
/// The last addresses are remembered for this long, in case the resolver fails.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Trying more addresses than this one after the other helps no client.
const ADDRESSES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::block_on;
    use futures_lite::future::poll_once;
    use std::pin::pin;

    #[test]
    fn all_who_wait_for_a_lookup_get_its_failure_without_lookups_of_their_own() {
        let resolver = Resolver::new();
        block_on(async {
            let name = resolver.name("app.test");
            let asking = Asking::begin(&name).expect("nobody asks");
            let (mut first, mut second) = (pin!(name.current()), pin!(name.current()));
            assert!(poll_once(&mut first).await.is_none());
            assert!(poll_once(&mut second).await.is_none());
            name.failed(&io::Error::new(io::ErrorKind::NotFound, "no such name"));
            drop(asking);
            for waiting in [first, second] {
                let outcome = poll_once(waiting).await.expect("it needs no lookup");
                assert_eq!(outcome.expect_err("a failure").to_string(), "no such name");
            }
        });
    }

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

    /// A resolver that looked up `app.invalid` this long ago.
    fn knowing(address: [u8; 4], age: Duration) -> Resolver {
        let resolver = Resolver::new();
        let at = Instant::now().checked_sub(age).unwrap();
        *resolver.name("app.invalid").answer.borrow_mut() = Some((at, Rc::from([IpAddr::from(address)])));
        resolver
    }

    #[test]
    fn an_answer_is_used_while_it_is_fresh_and_while_there_is_no_other() {
        block_on(async {
            for age in [Duration::ZERO, TTL] {
                let resolver = knowing([192, 0, 2, 1], age);
                let found = resolver.resolve("app.invalid").await.unwrap();
                assert_eq!(found[..], [IpAddr::from([192, 0, 2, 1])]);
                resolver.purge(Instant::now());
                assert_eq!(resolver.names.borrow().len(), 1);
                resolver.purge(Instant::now() + REMEMBERED);
                assert_eq!(resolver.names.borrow().len(), 0);
            }
        });
    }

    #[test]
    fn a_kept_connection_is_one_to_an_address_that_its_name_has() {
        let resolver = knowing([192, 0, 2, 1], Duration::ZERO);
        assert!(resolver.leads_to("app.invalid", [192, 0, 2, 1].into()));
        assert!(!resolver.leads_to("app.invalid", [192, 0, 2, 2].into()));
        assert!(resolver.leads_to("192.0.2.3", [192, 0, 2, 3].into()), "nothing is looked up for an address");
    }

    #[test]
    fn what_is_known_is_waited_for_only_if_it_is_old() {
        block_on(async {
            for (age, is_renewed) in [(Duration::ZERO, false), (TTL, false), (FOLLOWED, true)] {
                let resolver = knowing([192, 0, 2, 1], age);
                resolver.keep_current("app.invalid").await;
                let age = resolver.name("app.invalid").age(Instant::now()).unwrap();
                assert_eq!(age < TTL, is_renewed || age < TTL, "{age:?}");
            }
        });
    }

    #[test]
    fn a_name_that_does_not_exist_is_an_error() {
        block_on(async {
            // `.invalid` is never in any DNS (RFC 6761 section 6.4), and the label is too long to be looked up.
            let host = format!("{}.invalid", "a".repeat(64));
            assert!(Resolver::new().resolve(&host).await.is_err());
        });
    }
}
