//! A session with rustls' own client at the other end.

use super::*;
use crate::tls::stand::{Stand, stand};
use proptest::collection::vec;
use proptest::prelude::*;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::io::{Read, Write};

/// Both ends of a session, and the bytes in transit between them.
struct Pair {
    client: ClientConnection,
    server: Session,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    heard: Vec<u8>,
    ended: bool,
    told: Vec<u8>,
}

impl Pair {
    fn new(version: &'static rustls::SupportedProtocolVersion) -> Pair {
        let Stand { offer, roots } = stand();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = builder.with_protocol_versions(&[version]).unwrap();
        let config = Arc::new(config.with_root_certificates(roots.clone()).with_no_client_auth());
        let name = ServerName::try_from("a.test").unwrap();
        Pair {
            client: ClientConnection::new(config, name).unwrap(),
            server: Session::new(offer.clone()).unwrap(),
            to_server: Vec::new(),
            to_client: Vec::new(),
            heard: Vec::new(),
            ended: false,
            told: Vec::new(),
        }
    }

    fn open(version: &'static rustls::SupportedProtocolVersion) -> Pair {
        let mut pair = Pair::new(version);
        pair.settle(&[]);
        assert!(!pair.client.is_handshaking() && !pair.server.has_failed());
        pair
    }

    /// Carries bytes in both directions until none are left; the server receives them in pieces of these sizes,
    /// repeated.
    fn settle(&mut self, sizes: &[usize]) {
        let mut sizes = sizes.iter().copied().cycle();
        loop {
            while self.client.wants_write() {
                self.client.write_tls(&mut self.to_server).unwrap();
            }
            if self.to_server.is_empty() && self.to_client.is_empty() {
                return;
            }
            while !self.to_server.is_empty() {
                let size = sizes.next().unwrap_or(usize::MAX).clamp(1, self.to_server.len());
                let mut part: Vec<u8> = self.to_server.drain(..size).collect();
                self.server_receives(&mut part).unwrap();
            }
            let mut input = &std::mem::take(&mut self.to_client)[..];
            while !input.is_empty() {
                self.client.read_tls(&mut input).unwrap();
                let state = self.client.process_new_packets().unwrap();
                let mut told = vec![0; state.plaintext_bytes_to_read()];
                self.client.reader().read_exact(&mut told).unwrap();
                self.told.extend(told);
            }
        }
    }

    fn server_receives(&mut self, part: &mut [u8]) -> Result<(), SessionError> {
        let mut heard = Heard::default();
        let outcome = self.server.receive(part, &mut heard);
        self.to_client.extend(heard.reply);
        self.heard.extend(heard.plain);
        self.ended |= heard.ended;
        outcome
    }

    fn say(&mut self, text: &[u8]) {
        self.client.writer().write_all(text).unwrap();
    }
}

fn versions() -> impl Strategy<Value = &'static rustls::SupportedProtocolVersion> {
    prop_oneof![Just(&rustls::version::TLS12), Just(&rustls::version::TLS13)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_said_is_heard_however_it_is_cut(
        version in versions(),
        sizes in vec(1..3000usize, 1..8),
        texts in vec((vec(any::<u8>(), 0..9000), vec(any::<u8>(), 0..40_000)), 1..4),
    ) {
        let mut pair = Pair::new(version);
        pair.settle(&sizes);
        for (to_server, to_client) in texts {
            // Both sides at once, and the server in several pieces.
            pair.say(&to_server);
            for piece in to_client.chunks(7000) {
                pair.server.seal(piece, &mut pair.to_client).unwrap();
            }
            pair.settle(&sizes);
            prop_assert_eq!(std::mem::take(&mut pair.heard), to_server);
            prop_assert_eq!(std::mem::take(&mut pair.told), to_client);
        }
    }

    #[test]
    fn what_is_changed_on_the_way_is_never_heard(
        version in versions(),
        text in vec(any::<u8>(), 1..40_000),
        at in any::<prop::sample::Index>(),
        bits in 1..=255u8,
        cut in 1..9000usize,
    ) {
        let mut pair = Pair::open(version);
        pair.say(&text);
        while pair.client.wants_write() {
            pair.client.write_tls(&mut pair.to_server).unwrap();
        }
        let mut sent = std::mem::take(&mut pair.to_server);
        sent[at.index(text.len())] ^= bits;
        for part in sent.chunks_mut(cut) {
            let _ = pair.server_receives(part);
            let _ = pair.server.seal(b"x", &mut Vec::new());
        }
        prop_assert!(text.starts_with(&pair.heard) && pair.heard.len() < text.len());
        pair.server.close(&mut Vec::new());
    }

    #[test]
    fn garbage_breaks_the_session_and_nothing_else(
        garbage in vec(any::<u8>(), 1..2000),
        cut in 1..300usize,
        after in 0..400usize,
        version in versions(),
    ) {
        let mut pair = Pair::new(version);
        while pair.client.wants_write() {
            pair.client.write_tls(&mut pair.to_server).unwrap();
        }
        let mut input = pair.to_server.clone();
        input.truncate(after);
        input.extend(garbage);
        for part in input.chunks_mut(cut) {
            let _ = pair.server_receives(part);
            let _ = pair.server.seal(b"x", &mut Vec::new());
            pair.server.close(&mut Vec::new());
        }
        prop_assert!(pair.server.has_failed() && pair.heard.is_empty());
    }
}

#[test]
fn bytes_that_are_changed_on_the_way_end_it_with_an_alert() {
    let mut pair = Pair::open(&rustls::version::TLS13);
    pair.say(b"hello");
    pair.client.write_tls(&mut pair.to_server).unwrap();
    let mut sent = std::mem::take(&mut pair.to_server);
    *sent.last_mut().unwrap() ^= 1;
    let error = pair.server_receives(&mut sent).unwrap_err();
    assert!(matches!(error, SessionError::Tls(Error::DecryptError)), "{error}");
    assert!(!pair.to_client.is_empty() && pair.server.has_failed() && pair.heard.is_empty());
    assert!(pair.server.seal(b"more", &mut Vec::new()).is_err());
}

#[test]
fn each_side_may_close_first() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut pair = Pair::open(version);
        pair.say(b"last words");
        pair.client.send_close_notify();
        pair.settle(&[5]);
        assert_eq!((&pair.heard[..], pair.ended), (&b"last words"[..], true));
        pair.server.seal(b"answer", &mut pair.to_client).unwrap();
        pair.server.close(&mut pair.to_client);
        pair.settle(&[]);
        assert_eq!(pair.told, b"answer");
        assert!(!pair.server.has_failed());
        let before = pair.to_client.len();
        pair.server.close(&mut pair.to_client);
        assert_eq!(pair.to_client.len(), before, "close_notify is sent once");
    }
}

#[test]
fn a_torn_session_says_no_goodbye() {
    let mut pair = Pair::open(&rustls::version::TLS13);
    pair.server.tear();
    pair.server.close(&mut pair.to_client);
    assert!(pair.to_client.is_empty() && !pair.server.has_failed());
}

#[test]
fn keys_that_change_change_nothing_else() {
    let mut pair = Pair::open(&rustls::version::TLS13);
    for round in 0..10u8 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.say(&[round; 100]);
        pair.settle(&[17]);
        assert_eq!(std::mem::take(&mut pair.heard), [round; 100]);
        pair.server.seal(&[round; 50], &mut pair.to_client).unwrap();
        pair.settle(&[]);
        assert_eq!(std::mem::take(&mut pair.told), [round; 50]);
    }
}

#[test]
fn a_handshake_that_does_not_end_is_not_kept_for_ever() {
    let mut pair = Pair::new(&rustls::version::TLS13);
    // Records of a ClientHello that claims to have 16 MiB.
    let mut first = true;
    let mut records = std::iter::repeat_with(move || {
        let mut record = vec![0x16, 3, 1, 0x40, 0];
        record.resize(5 + 0x4000, 0);
        if std::mem::replace(&mut first, false) {
            record[5..9].copy_from_slice(&[1, 0xff, 0xff, 0xff]);
        }
        record
    });
    let refused = records.by_ref().take(10).any(|mut record| pair.server_receives(&mut record).is_err());
    assert!(refused && pair.server.has_failed());
}

#[test]
fn an_idle_session_keeps_no_buffer() {
    let pair = Pair::open(&rustls::version::TLS13);
    assert_eq!(pair.server.partial.capacity(), 0);
}
