//! What is published, as bytes: a marker, the channel's number, the message's number in its channel, the time it was due,
//! and padding. Publishers write it and subscribers read it back; the end mark shows that nothing was cut off.
//!
//! The time is when the schedule wanted the message sent, not when it was: a server that holds up the publisher shows in
//! the latencies of all messages that waited (no coordinated omission).

/// A published message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which channel it was published to.
    pub channel: u32,
    /// Its place in that channel, from 0.
    pub sequence: u32,
    /// When it was due, CLOCK_MONOTONIC.
    pub due_ns: u64,
}

impl Message {
    /// Appends it to `into`, as `size` bytes or as few as it needs.
    pub fn write(&self, size: usize, into: &mut Vec<u8>) {
        let start = into.len();
        let Message { channel, sequence, due_ns } = self;
        into.extend_from_slice(format!("{MARKER}{channel} {sequence} {due_ns} ").as_bytes());
        let length = size.max(into.len() - start + 1);
        into.resize(start + length - 1, b'x');
        into.push(END);
    }

    /// Reads it; `None` for anything else that a server may send, such as a greeting.
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

/// A decimal number and what follows the space behind it.
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
