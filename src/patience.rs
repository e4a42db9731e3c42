//! Waiting with a time limit, for the tasks of a core. When the limit has passed, the work gets one more chance: its
//! data may have arrived in time and not been read yet, because the process was stopped or the machine is busy, and
//! because the executor handles timers before sockets.

#![forbid(unsafe_code)]

use crate::runtime::sleep;
use futures_lite::FutureExt;
use std::future::Future;
use std::time::Duration;

/// How long the core may still read, after a limit has passed, data that arrived in time. All timeouts are this
/// exact.
pub const LAST_LOOK: Duration = Duration::from_millis(100);

/// Runs `work`, and returns its result, or `None` if it takes longer than `limit`.
pub async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let done = async { Some(work.await) };
    let given_up = async {
        pass(limit).await;
        None
    };
    done.or(given_up).await
}

/// Returns when `limit` has passed and everything that had arrived by then was read.
pub async fn pass(limit: Duration) {
    sleep(limit).await;
    sleep(LAST_LOOK).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{TcpStream, block_on, spawn};
    use futures_lite::AsyncReadExt;
    use std::future::pending;
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener};

    const LIMIT: Duration = Duration::from_millis(50);

    #[test]
    fn what_takes_longer_is_given_up() {
        block_on(async {
            assert_eq!(within(LIMIT, pending::<()>()).await, None);
            assert_eq!(within(LIMIT, async { 7 }).await, Some(7));
        });
    }

    /// As after a pause of the process: the limit has long passed when the core reads anything.
    #[test]
    fn what_came_in_time_is_read_however_late_the_core_looks() {
        block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            let address = listener.local_addr().expect("an address");
            let mut near = TcpStream::connect_timeout(address, 100 * LIMIT).await.expect("a connection");
            let (mut far, _) = listener.accept().expect("a connection");
            let reads = spawn(async move {
                let mut byte = [0];
                within(LIMIT, near.read_exact(&mut byte)).await.map(|read| read.map(|()| byte[0]).ok())
            });
            // The task waits for the timer and for the socket now.
            sleep(LIMIT / 10).await;
            far.write_all(b"x").expect("room in the socket");
            std::thread::sleep(3 * LIMIT);
            assert_eq!(reads.await, Some(Some(b'x')));
        });
    }
}
