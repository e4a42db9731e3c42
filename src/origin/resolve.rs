//! Host names of targets. Looked up on glommio's blocking threads, never on the core's, and remembered for a few
//! seconds, so that a busy core asks the resolver now and then and still follows changes.

use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How long an answer is used.
const TTL: Duration = Duration::from_secs(5);

/// One core's answers.
#[derive(Default)]
pub(super) struct Resolver {
    known: RefCell<FxHashMap<String, (Instant, Vec<IpAddr>)>>,
}

impl Resolver {
    /// The addresses of `host`, which may be an address itself.
    pub async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let fresh =
            |(since, addresses): &(Instant, Vec<IpAddr>)| (since.elapsed() < TTL).then(|| addresses.clone());
        let known = self.known.borrow().get(host).and_then(fresh);
        let addresses = match known {
            Some(addresses) => addresses,
            None => self.look_up(host).await?,
        };
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    async fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let name = host.to_owned();
        let looked_up = glommio::executor().spawn_blocking(move || {
            (name.as_str(), 0)
                .to_socket_addrs()
                .map(|found| found.map(|address| address.ip()).collect::<Vec<_>>())
        });
        let addresses = looked_up.await?;
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        self.known.borrow_mut().insert(host.to_owned(), (Instant::now(), addresses.clone()));
        Ok(addresses)
    }
}
