//! Every suite, against rustls' own provider by `ring`.

use super::*;
use crate::tls::stand::stand;
use proptest::collection::vec;
use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, Iv, MessageDecrypter, MessageEncrypter, OutboundChunks,
    OutboundPlainMessage,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, Connection, ConnectionTrafficSecrets, ContentType, Error,
    ExtractedSecrets, ProtocolVersion, RootCertStore, ServerConfig, ServerConnection,
};
use std::io::{Read, Write};
use std::sync::Arc;

/// The suites of the provider, and the same suites of rustls.
fn suites() -> impl Iterator<Item = (SupportedCipherSuite, SupportedCipherSuite)> {
    provider().cipher_suites.into_iter().zip(rustls_ring::default_provider().cipher_suites)
}

/// A server's certificate and key that fit `suite`.
fn certificate(suite: CipherSuite) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = match format!("{suite:?}").contains("RSA") {
        true => KeyPair::from_pem(include_str!("../../proto/grip/testdata/rsa-pkcs8.pem")),
        false => KeyPair::generate(),
    };
    let key = key.unwrap();
    let made = CertificateParams::new(vec!["a.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    (made.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

/// Both ends of a connection that has only the client's suite and the server's, which are the same one.
struct Ends {
    client: Connection,
    server: Connection,
}

impl Ends {
    fn shake_hands(of_client: SupportedCipherSuite, of_server: SupportedCipherSuite) -> Ends {
        let with = |suite| {
            Arc::new(CryptoProvider { cipher_suites: vec![suite], ..rustls_ring::default_provider() })
        };
        let (certificate, key) = certificate(of_client.suite());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let versions = &[of_client.version()];
        let client = ClientConfig::builder_with_provider(with(of_client)).with_protocol_versions(versions);
        let mut client = client.unwrap().with_root_certificates(roots).with_no_client_auth();
        let server = ServerConfig::builder_with_provider(with(of_server)).with_protocol_versions(versions);
        let server = server.unwrap().with_no_client_auth();
        let mut server = server.with_single_cert(vec![certificate], key).unwrap();
        (client.enable_secret_extraction, server.enable_secret_extraction) = (true, true);
        let name = ServerName::try_from("a.test").unwrap();
        let mut ends = Ends {
            client: ClientConnection::new(Arc::new(client), name).unwrap().into(),
            server: ServerConnection::new(Arc::new(server)).unwrap().into(),
        };
        while ends.client.is_handshaking() || ends.server.is_handshaking() {
            assert_eq!(ends.carry(), [const { Vec::<u8>::new() }; 2]);
        }
        ends.carry();
        ends
    }

    /// Carries records in both directions, and returns what each end has read: the server, the client.
    fn carry(&mut self) -> [Vec<u8>; 2] {
        let Ends { client, server } = self;
        [carry(client, server), carry(server, client)]
    }

    fn expect_talk(&mut self) {
        for length in [1, 100, 40_000] {
            let said = vec![7; length];
            self.client.writer().write_all(&said).unwrap();
            self.server.writer().write_all(&said).unwrap();
            assert_eq!(self.carry(), [&said[..], &said]);
        }
    }

    /// Both directions, each with its key twice: as the end that sends has it, and the end that receives.
    fn secrets(self) -> [[ConnectionTrafficSecrets; 2]; 2] {
        let ExtractedSecrets { tx: (_, client_tx), rx: (_, client_rx) } =
            self.client.dangerous_extract_secrets().unwrap();
        let ExtractedSecrets { tx: (_, server_tx), rx: (_, server_rx) } =
            self.server.dangerous_extract_secrets().unwrap();
        [[client_tx, server_rx], [server_tx, client_rx]]
    }
}

fn carry(from: &mut Connection, to: &mut Connection) -> Vec<u8> {
    let (mut sent, mut read) = (Vec::new(), Vec::new());
    while from.wants_write() {
        from.write_tls(&mut sent).unwrap();
    }
    let mut sent = &sent[..];
    while !sent.is_empty() {
        to.read_tls(&mut sent).unwrap();
        let state = to.process_new_packets().unwrap();
        let mut plain = vec![0; state.plaintext_bytes_to_read()];
        to.reader().read_exact(&mut plain).unwrap();
        read.extend(plain);
    }
    read
}

fn key_and_iv(secrets: ConnectionTrafficSecrets) -> (AeadKey, Iv) {
    match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key, iv),
        _ => panic!("secrets of an unknown cipher"),
    }
}

fn encrypter(suite: SupportedCipherSuite, secrets: ConnectionTrafficSecrets) -> Box<dyn MessageEncrypter> {
    let (key, iv) = key_and_iv(secrets);
    match suite {
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.encrypter(key, iv),
        SupportedCipherSuite::Tls12(suite) => {
            let fixed = suite.aead_alg.key_block_shape().fixed_iv_len;
            let (iv, explicit) = iv.as_ref().split_at(fixed);
            suite.aead_alg.encrypter(key, iv, explicit)
        }
    }
}

fn decrypter(suite: SupportedCipherSuite, secrets: ConnectionTrafficSecrets) -> Box<dyn MessageDecrypter> {
    let (key, iv) = key_and_iv(secrets);
    match suite {
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.decrypter(key, iv),
        SupportedCipherSuite::Tls12(suite) => {
            let fixed = suite.aead_alg.key_block_shape().fixed_iv_len;
            suite.aead_alg.decrypter(key, &iv.as_ref()[..fixed])
        }
    }
}

/// The keys of a session, each of them twice.
struct Records {
    suite: SupportedCipherSuite,
    seal: Box<dyn MessageEncrypter>,
    /// By rustls, with the key of `seal`.
    same_seal: Box<dyn MessageEncrypter>,
    open: Box<dyn MessageDecrypter>,
    /// By rustls, for `open`.
    peer: Box<dyn MessageEncrypter>,
}

impl Records {
    /// A session of each suite.
    fn all() -> impl Iterator<Item = Records> {
        suites().map(|(lean, of_rustls)| {
            let [[seal, same_seal], [peer, open]] = Ends::shake_hands(of_rustls, lean).secrets();
            Records {
                suite: lean,
                seal: encrypter(lean, seal),
                same_seal: encrypter(of_rustls, same_seal),
                open: decrypter(lean, open),
                peer: encrypter(of_rustls, peer),
            }
        })
    }
}

/// The bytes of the record with this content, header included.
fn sealed(by: &mut dyn MessageEncrypter, seq: u64, typ: ContentType, content: &[&[u8]]) -> Vec<u8> {
    let payload = OutboundChunks::new(content);
    let length = by.encrypted_payload_len(payload.len());
    let message = OutboundPlainMessage { typ, version: ProtocolVersion::TLSv1_2, payload };
    let record = by.encrypt(message, seq).unwrap().encode();
    assert_eq!(record.len(), HEADER_BYTES + length);
    record
}

/// The type and the content of a record.
fn opened(by: &mut dyn MessageDecrypter, seq: u64, record: &[u8]) -> Result<(ContentType, Vec<u8>), Error> {
    let (header, payload) = record.split_at(HEADER_BYTES);
    let version = ProtocolVersion::from(u16::from_be_bytes([header[1], header[2]]));
    let mut payload = payload.to_vec();
    let message = InboundOpaqueMessage::new(ContentType::from(header[0]), version, &mut payload);
    by.decrypt(message, seq).map(|plain| (plain.typ, plain.payload.to_vec()))
}

const HEADER_BYTES: usize = 5;
const TYPES: [ContentType; 3] = [ContentType::ApplicationData, ContentType::Alert, ContentType::Handshake];
const SEQS: [u64; 5] = [0, 1, 255, 1 << 32, u64::MAX - 1];

#[test]
fn suites_are_those_of_rustls_but_their_keys_take_56_bytes() {
    assert_eq!(provider().cipher_suites, rustls_ring::DEFAULT_CIPHER_SUITES);
    assert_eq!(stand().offer.crypto_provider().cipher_suites, rustls_ring::DEFAULT_CIPHER_SUITES);
    for (lean, of_rustls) in suites() {
        assert_eq!(lean.fips(), of_rustls.fips());
        let limits = [lean, of_rustls].map(|suite| match suite {
            SupportedCipherSuite::Tls12(suite) => suite.common.confidentiality_limit,
            SupportedCipherSuite::Tls13(suite) => suite.common.confidentiality_limit,
        });
        assert_eq!(limits[0], limits[1], "{lean:?}");
    }
    for Records { suite, seal, open, .. } in Records::all() {
        assert_eq!([size_of_val(&*seal), size_of_val(&*open)], [56, 56], "{suite:?}");
    }
}

#[test]
fn a_port_is_offered_with_these_keys() {
    for suite in &stand().offer.crypto_provider().cipher_suites {
        let (lean, _) = suites().find(|(lean, _)| lean == suite).unwrap();
        let is_same = match (*suite, lean) {
            (SupportedCipherSuite::Tls12(one), SupportedCipherSuite::Tls12(other)) => {
                std::ptr::eq(one, other)
            }
            (SupportedCipherSuite::Tls13(one), SupportedCipherSuite::Tls13(other)) => {
                std::ptr::eq(one, other)
            }
            _ => false,
        };
        assert!(is_same, "{suite:?}");
    }
}

#[test]
fn each_suite_talks_to_rustls_as_server_and_as_client() {
    for (lean, of_rustls) in suites() {
        for (of_client, of_server) in [(of_rustls, lean), (lean, of_rustls)] {
            let mut ends = Ends::shake_hands(of_client, of_server);
            assert_eq!(ends.server.negotiated_cipher_suite(), Some(lean));
            ends.expect_talk();
            ends.server.send_close_notify();
            ends.carry();
            assert_eq!(ends.client.reader().read(&mut [0]).unwrap(), 0, "{lean:?}");
        }
    }
}

#[test]
fn either_end_may_change_its_key() {
    for (lean, of_rustls) in suites().filter(|(lean, _)| lean.tls13().is_some()) {
        let mut ends = Ends::shake_hands(of_rustls, lean);
        for _ in 0..3 {
            ends.client.refresh_traffic_keys().unwrap();
            ends.expect_talk();
            ends.server.refresh_traffic_keys().unwrap();
            ends.expect_talk();
        }
    }
}

#[test]
fn both_ends_extract_the_same_secrets() {
    for (lean, of_rustls) in suites() {
        for [sent, received] in Ends::shake_hands(of_rustls, lean).secrets() {
            assert_eq!(std::mem::discriminant(&sent), std::mem::discriminant(&received));
            let ((key, iv), (same_key, same_iv)) = (key_and_iv(sent), key_and_iv(received));
            assert_eq!((key.as_ref(), iv.as_ref()), (same_key.as_ref(), same_iv.as_ref()), "{lean:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn records_have_the_same_bytes_as_those_of_rustls(
        content in vec(vec(any::<u8>(), 0..3000), 1..6),
        seq in any::<u64>(),
    ) {
        let chunks: Vec<&[u8]> = content.iter().map(Vec::as_slice).collect();
        let (empty, full): ([&[u8]; 1], [&[u8]; 1]) = ([&[]], [&[9; 1 << 14]]);
        for mut records in Records::all() {
            for seq in SEQS.into_iter().chain([seq]) {
                for (typ, content) in TYPES.into_iter().zip([&chunks[..], &empty, &full]) {
                    let record = sealed(&mut *records.seal, seq, typ, content);
                    let same = sealed(&mut *records.same_seal, seq, typ, content);
                    prop_assert!(record == same, "{:?}, record {seq} of {typ:?}", records.suite);
                    let record = sealed(&mut *records.peer, seq, typ, content);
                    prop_assert_eq!(opened(&mut *records.open, seq, &record), Ok((typ, content.concat())));
                }
            }
        }
    }
}

#[test]
fn a_changed_record_is_refused_and_so_is_one_out_of_order() {
    for Records { suite, mut open, mut peer, .. } in Records::all() {
        let record = sealed(&mut *peer, 5, ContentType::ApplicationData, &[b"hello"]);
        // The header of a record of TLS 1.3 is always the same: rustls looks at it before anything is opened.
        let first = if suite.tls13().is_some() { HEADER_BYTES } else { 0 };
        for at in (first..record.len()).filter(|at| ![3, 4].contains(at)) {
            let mut changed = record.clone();
            changed[at] ^= 1;
            assert_eq!(opened(&mut *open, 5, &changed), Err(Error::DecryptError), "{suite:?}, byte {at}");
        }
        for length in HEADER_BYTES..record.len() {
            assert_eq!(opened(&mut *open, 5, &record[..length]), Err(Error::DecryptError), "{suite:?}, cut");
        }
        assert_eq!(opened(&mut *open, 5, &[&record[..], &[0]].concat()), Err(Error::DecryptError));
        for seq in [0, 4, 6, 5 << 32] {
            assert_eq!(opened(&mut *open, seq, &record), Err(Error::DecryptError), "{suite:?}, {seq}");
        }
        let whole = (ContentType::ApplicationData, b"hello".to_vec());
        assert_eq!(opened(&mut *open, 5, &record), Ok(whole));
    }
}

#[test]
fn a_record_that_is_too_long_is_refused() {
    for Records { mut open, mut peer, .. } in Records::all() {
        let record = sealed(&mut *peer, 0, ContentType::ApplicationData, &[&[0; (1 << 14) + 1]]);
        assert_eq!(opened(&mut *open, 0, &record), Err(Error::PeerSentOversizedRecord));
    }
}
