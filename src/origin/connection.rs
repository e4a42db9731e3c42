//! One connection to an origin and one exchange on it. Its task lives exactly as long as this value: dropping
//! a [`Connection`], wherever it is, closes the socket. The pool and response bodies own them.

use super::activity::Activity;
use super::idle::Reusable;
use super::message::{Outbound, Outgoing};
use super::transport::Transport;
use crate::runtime::{self, Glance};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Parts, SendRequest};
use std::time::Duration;

/// A connection that can carry one request at a time.
pub(super) struct Connection {
    sender: SendRequest<Outgoing>,
    pub activity: Activity,
    /// Of the socket, which is open as long as its driver is.
    glance: Glance,
    /// Drives the socket; cancelled when dropped. Gives it back once the origin has switched protocols.
    driver: runtime::Task<Option<Parts<Transport>>>,
}

/// Why an exchange gave no answer.
pub(super) enum Lost {
    /// The request was never written and is given back.
    Unsent(Box<Outbound>, hyper::Error),
    /// It may have been written; nothing came back.
    Unanswered(hyper::Error),
    /// What came back was no answer.
    Garbled(hyper::Error),
    /// Nothing moved for this long.
    Idle(Duration),
}

impl Connection {
    /// Puts hyper on a connected transport, which is given back if `may_switch` and the origin does.
    pub async fn begin(transport: Transport, activity: Activity, may_switch: bool) -> hyper::Result<Self> {
        let glance = transport.glance();
        let (sender, connection) = Builder::new().title_case_headers(true).handshake(transport).await?;
        let driver = runtime::spawn(async move {
            if may_switch {
                return connection.without_shutdown().await.ok();
            }
            if let Err(error) = connection.await {
                tracing::debug!("origin connection ended: {error}");
            }
            None
        });
        Ok(Connection { sender, activity, glance, driver })
    }

    /// The socket after a 101, and what came with that.
    pub async fn switched(self) -> Option<(Transport, Bytes)> {
        let parts = self.driver.await?;
        Some((parts.io, parts.read_buf))
    }

    /// Sends `request` and waits for the head of its answer, as long as bytes move within `idle`.
    pub async fn exchange(
        &mut self,
        request: Outbound,
        idle: Duration,
    ) -> Result<http::Response<Incoming>, Lost> {
        let read_before = self.activity.bytes_read();
        let answer = self.sender.try_send_request(request);
        match self.activity.unless_idle(idle, answer).await {
            Ok(Ok(response)) => Ok(response),
            Err(_too_long) => Err(Lost::Idle(idle)),
            Ok(Err(mut failure)) => match failure.take_message() {
                Some(request) => Err(Lost::Unsent(Box::new(request), failure.into_error())),
                None if self.activity.bytes_read() == read_before => {
                    Err(Lost::Unanswered(failure.into_error()))
                }
                None => Err(Lost::Garbled(failure.into_error())),
            },
        }
    }
}

impl Reusable for Connection {
    fn is_ready(&self) -> bool {
        self.sender.is_ready() && !self.sender.is_closed()
    }

    /// Asks the kernel: hyper hears of it a little later, when a request that cannot be made twice would be lost already.
    fn has_ended(&self) -> bool {
        self.glance.has_ended()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::transport::{Scratch, Stream};
    use glommio::LocalExecutor;
    use runtime::TcpStream;
    use std::net::TcpListener;

    #[test]
    fn a_connection_that_its_origin_has_closed_is_known_at_once() {
        LocalExecutor::default().run(async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let tcp = TcpStream::connect_timeout(listener.local_addr().unwrap(), Duration::from_secs(5))
                .await
                .unwrap();
            let (origin, _) = listener.accept().unwrap();
            let transport = Transport::new(Stream::Plain(tcp), Scratch::new(), Activity::new());
            let connection = Connection::begin(transport, Activity::new(), false).await.unwrap();
            assert!(!connection.has_ended());
            drop(origin);
            assert!(connection.has_ended());
        });
    }
}
