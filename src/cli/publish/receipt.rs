//! The receipt of a message: the number of subscribers that the server wrote to, for `gripwire publish --receipt`.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// The server's answer to a publish call that asks for a receipt.
#[derive(Deserialize, PartialEq, Eq, Debug)]
pub struct Receipt {
    timed_out: bool,
    items: Vec<Item>,
}

#[derive(Deserialize, PartialEq, Eq, Debug)]
struct Item {
    channel: String,
    state: String,
    receivers: Receivers,
    dropped: u64,
}

#[derive(Deserialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
struct Receivers {
    http_response: u64,
    http_stream: u64,
    ws_message: u64,
}

impl Receipt {
    /// Reads the body of an answer; `None` if it is not a receipt, because the server does not support receipts.
    pub fn parse(body: &[u8]) -> Option<Receipt> {
        serde_json::from_slice(body).ok()
    }
}

/// The query of a publish call that asks for a receipt and lets the server wait that long for it.
pub fn query(wait: Duration) -> String {
    format!("?receipt=true&wait_ms={}", wait.as_millis())
}

impl fmt::Display for Receipt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Published")?;
        for Item { channel, state, receivers, dropped } in &self.items {
            let Receivers { http_response, http_stream, ws_message } = receivers;
            write!(
                out,
                "\n{channel}: {state}, long polls {http_response}, streams {http_stream}, WebSockets {ws_message}, \
                 dropped {dropped}"
            )?;
        }
        match self.timed_out {
            true => write!(out, "\nSome subscribers were not written to in time; give --wait-ms more time."),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_has_a_line() {
        let body = br#"{"dropped":1,"items":[{"channel":"a","dropped":1,"id":null,"receivers":{"http-response":1,
            "http-stream":2,"ws-message":3},"state":"delivering"}],"message":"Published","receivers":6,"timed_out":true}"#;
        let said = Receipt::parse(body).unwrap().to_string();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(
            lines[..2],
            ["Published", "a: delivering, long polls 1, streams 2, WebSockets 3, dropped 1"]
        );
        assert!(lines[2].contains("--wait-ms"));
        assert_eq!(Receipt::parse(b"Published\n"), None);
    }
}
