//! Finds messages in the body of a stream: one per line, or one per event (HTML Standard, section 9.2). A published message
//! is one line in both, so the `data` lines of an event are read one by one when the event is complete.

/// The division of a stream into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Division {
    /// Each line is a message.
    Lines,
    /// The lines of `data` of each event are messages.
    Events,
}

/// Calls `message` for the lines or for the data of the events in `body`. Returns the number of bytes that were read.
pub fn take(division: Division, body: &[u8], message: &mut dyn FnMut(&[u8])) -> usize {
    match division {
        Division::Lines => lines(body, |line| message(without_field(line))),
        Division::Events => events(body, message),
    }
}

fn lines(body: &[u8], mut each: impl FnMut(&[u8])) -> usize {
    let mut from = 0;
    for end in memchr::memchr_iter(b'\n', body) {
        each(line(&body[from..end]));
        from = end + 1;
    }
    from
}

fn events(body: &[u8], message: &mut dyn FnMut(&[u8])) -> usize {
    let (mut done, mut from) = (0, 0);
    for end in memchr::memchr_iter(b'\n', body) {
        let blank = line(&body[from..end]).is_empty();
        from = end + 1;
        if blank {
            lines(&body[done..from], |line| {
                if line.starts_with(b"data:") {
                    message(without_field(line));
                }
            });
            done = from;
        }
    }
    done
}

fn line(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// A line without the field name of an event. Subscribers of both divisions may share a channel, so that a line may be part
/// of an event.
fn without_field(line: &[u8]) -> &[u8] {
    let Some(data) = line.strip_prefix(b"data:") else { return line };
    data.strip_prefix(b" ").unwrap_or(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(division: Division, wire: &[u8], cut: usize) -> (Vec<String>, usize) {
        let mut messages = Vec::new();
        let mut each = |message: &[u8]| messages.push(String::from_utf8(message.to_vec()).unwrap());
        let used = take(division, &wire[..cut], &mut each);
        let rest = take(division, &wire[used..], &mut each);
        (messages, wire.len() - used - rest)
    }

    #[test]
    fn messages_are_the_same_wherever_the_input_is_cut() {
        let lines = &b"held\none\r\n\ndata: two\nthr"[..];
        let events =
            &b": note\n\nid: 1\ndata: one\n\nevent: held\r\ndata:two\r\ndata: three\r\n\r\ndata: fo\n"[..];
        for cut in 0..lines.len() {
            let expected = ["held", "one", "", "two"].map(String::from).to_vec();
            assert_eq!(decode(Division::Lines, lines, cut), (expected, 3), "{cut}");
        }
        for cut in 0..events.len() {
            let expected = ["one", "two", "three"].map(String::from).to_vec();
            assert_eq!(decode(Division::Events, events, cut), (expected, 9), "{cut}");
        }
    }
}
