//! What a server says of itself.

use super::Server;
use crate::deadline::patience;
use crate::socket;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

/// The server's counters and levels, by name.
pub type Stats = BTreeMap<String, u64>;

pub(super) const REQUEST: &str = "GET /stats";

impl Server {
    /// What all cores together count.
    pub fn stats(&self) -> Stats {
        let answer = self.ask_control(REQUEST);
        let body = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {answer:?}")).1;
        let values: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
        values.into_iter().filter_map(|(name, value)| Some((name, value.as_u64()?))).collect()
    }

    /// Asks until the stats are as `condition` wants them.
    pub fn await_stats(&self, condition: impl Fn(&Stats) -> bool) -> Stats {
        let deadline = Instant::now() + patience();
        loop {
            let stats = self.stats();
            if condition(&stats) {
                return stats;
            }
            assert!(Instant::now() < deadline, "the stats stay at {stats:?}");
            std::thread::sleep(Duration::from_millis(20)); // Between looks: nothing announces a count.
        }
    }

    /// Waits until nothing of any client is left. Whoever asks may be counted.
    pub fn await_empty(&self) -> Stats {
        let levels = [
            "subscriptions",
            "channels",
            "homes",
            "backlog_bytes",
            "pending_publications",
            "sockjs_conversations",
            "open_requests",
            "queued_requests",
        ];
        // What cores take without clients, and what they keep of connections to applications.
        let kept = self.cores() as u64 * (16 << 20) + 4_000_000;
        self.await_stats(|stats| {
            let is_over = levels.iter().all(|level| stats[*level] == 0);
            stats["connections"] <= 1 && is_over && stats["kept_bytes"] < kept
        })
    }

    /// The control port's whole answer to a request without a body, such as `GET /channels/`.
    pub fn ask_control(&self, method_and_target: &str) -> String {
        let mut client = socket::connect(self.control);
        let token = &self.token;
        let head = format!(
            "{method_and_target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        client.write_all(head.as_bytes()).expect("the control port takes a request");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("the control port answers");
        answer
    }
}
