//! The transports of subscribers, and the mix of transports in a fleet.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The transport of a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// A long poll: one message per answer, then the next request.
    Poll,
    /// An HTTP answer without end, with one line for each message.
    Stream,
    /// Server-Sent Events.
    Sse,
    /// A WebSocket.
    Websocket,
}

impl Transport {
    /// All transports.
    pub const ALL: [Transport; 4] =
        [Transport::Poll, Transport::Stream, Transport::Sse, Transport::Websocket];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Poll => "poll",
            Transport::Stream => "stream",
            Transport::Sse => "sse",
            Transport::Websocket => "websocket",
        }
    }
}

/// Transports and their shares, such as `stream` or `stream:3,websocket:1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mix(Vec<(Transport, u32)>);

/// A mix with an unknown transport.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a transport: use poll, stream, sse or websocket, or shares such as stream:3,websocket:1"
)]
pub struct UnknownTransport(String);

impl Mix {
    /// The transport of a subscriber.
    pub fn of(&self, subscriber: u32) -> Transport {
        let mut place = subscriber % self.shares();
        for &(transport, share) in &self.0 {
            match place.checked_sub(share) {
                Some(left) => place = left,
                None => return transport,
            }
        }
        unreachable!("the place is below the sum of the shares")
    }

    /// Whether any subscriber uses `transport`.
    pub fn has(&self, transport: Transport) -> bool {
        self.0.iter().any(|&(one, _)| one == transport)
    }

    /// The transports in the mix.
    pub fn transports(&self) -> impl Iterator<Item = Transport> {
        self.0.iter().map(|&(transport, _)| transport)
    }

    /// The sum of the shares: the mix repeats after this number of subscribers.
    pub(crate) fn shares(&self) -> u32 {
        self.0.iter().map(|&(_, share)| share).sum()
    }
}

impl From<Transport> for Mix {
    fn from(transport: Transport) -> Mix {
        Mix(vec![(transport, 1)])
    }
}

impl FromStr for Mix {
    type Err = UnknownTransport;

    fn from_str(text: &str) -> Result<Mix, UnknownTransport> {
        let part = |part: &str| {
            let (name, share) = part.trim().split_once(':').unwrap_or((part.trim(), "1"));
            let transport = Transport::ALL.into_iter().find(|transport| transport.name() == name)?;
            let share = share.parse().ok().filter(|share| (1..=1_000_000).contains(share))?;
            Some((transport, share))
        };
        let parts = text.split(',').map(|text| part(text).ok_or_else(|| UnknownTransport(text.into())));
        parts.collect::<Result<_, _>>().map(Mix)
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (index, (transport, share)) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            match self.0.len() {
                1 => write!(f, "{}", transport.name())?,
                _ => write!(f, "{comma}{}:{share}", transport.name())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_gives_each_transport_its_share() {
        let mix: Mix = "stream:2, websocket".parse().unwrap();
        let of = [0, 1, 2, 3, 5].map(|subscriber| mix.of(subscriber).name());
        assert_eq!(of, ["stream", "stream", "websocket", "stream", "websocket"]);
        assert_eq!((mix.to_string(), mix.has(Transport::Poll)), ("stream:2,websocket:1".into(), false));
        assert_eq!("poll".parse(), Ok(Mix::from(Transport::Poll)));
    }

    #[test]
    fn what_is_not_a_transport_is_said() {
        for text in ["", "streams", "sse:0", "sse:x", "sse,,poll"] {
            assert!(text.parse::<Mix>().is_err(), "{text}");
        }
    }
}
