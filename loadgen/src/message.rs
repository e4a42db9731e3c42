//! The bytes of a published message: a marker, the channel's number, the message's number in its channel, the time at which
//! it was due, and padding. Publishers write messages and subscribers read them; the end mark shows that the message is
//! complete.
//!
//! The time is the scheduled time, not the time of sending: if a server delays the publisher, the latencies of all delayed
//! messages show it (no coordinated omission).

/// A published message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The number of the channel.
    pub channel: u32,
    /// The message's number in the channel, from 0.
    pub sequence: u32,
    /// The time at which the message was due, CLOCK_MONOTONIC.
    pub due_ns: u64,
}

impl Message {
    /// Appends the message to `into`, padded to `size` bytes if it is shorter.
    pub fn write(&self, size: usize, into: &mut Vec<u8>) {
        let start = into.len();
        let Message { channel, sequence, due_ns } = self;
        into.extend_from_slice(format!("{MARKER}{channel} {sequence} {due_ns} ").as_bytes());
        let length = size.max(into.len() - start + 1);
        into.resize(start + length - 1, b'x');
        into.push(END);
    }

    /// Reads a message; `None` for other data that a server may send, such as a greeting.
    pub fn read(bytes: &[u8]) -> Option<Message> {
        let text = bytes.trim_ascii().strip_prefix(MARKER.as_bytes())?;
        let (channel, text) = number(text)?;
        let (sequence, text) = number(text)?;
        let (due_ns, text) = number(text)?;
        let (&end, padding) = text.split_last()?;
        if end != END || padding.contains(&END) {
            return None;
        }
        Some(Message {
            channel: u32::try_from(channel).ok()?,
            sequence: u32::try_from(sequence).ok()?,
            due_ns,
        })
    }
}

/// Splits off a decimal number and the space after it.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let space = text.iter().position(|&byte| byte == b' ')?;
    let digits = &text[..space];
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut value = 0u64;
    for &digit in digits {
        value = value * 10 + u64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    Some((value, &text[space + 1..]))
}

const MARKER: &str = "gw1 ";
const END: u8 = b'.';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_size_asked_for_and_reads_back() {
        let message = Message { channel: 7, sequence: 4_000_000_000, due_ns: 1 << 60 };
        for size in [0, 45, 100, 5000] {
            let mut bytes = Vec::new();
            message.write(size, &mut bytes);
            assert!(bytes.len() == size || size < 45, "{size}: {}", bytes.len());
            assert_eq!(Message::read(&bytes), Some(message));
            bytes.push(b'\n');
            assert_eq!(Message::read(&bytes), Some(message));
        }
    }

    #[test]
    fn what_is_cut_off_or_foreign_is_not_a_message() {
        let mut bytes = Vec::new();
        Message { channel: 0, sequence: 0, due_ns: 1 }.write(60, &mut bytes);
        for cut in 0..bytes.len() {
            assert_eq!(Message::read(&bytes[..cut]), None, "{cut}");
        }
        let twice = [&bytes[..], &bytes].concat();
        for foreign in [&b"held"[..], b"gw1 1 2", b"gw1 -1 2 3 .", b"gw1 1 99999999999 3 .", &twice] {
            assert_eq!(Message::read(foreign), None, "{}", String::from_utf8_lossy(foreign));
        }
    }
}
