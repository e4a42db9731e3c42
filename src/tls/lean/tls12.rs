//! The records of TLS 1.2 with authenticated encryption (RFC 5246, 6.2.3.3). With AES-GCM the last 8 bytes of the nonce
//! stand before the encrypted content (RFC 5288, 3); with ChaCha20-Poly1305 nothing does (RFC 7905, 2).

use super::key::Key;
use ring::aead::Algorithm;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
    MessageEncrypter, NONCE_LEN, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload,
    Tls12AeadAlgorithm, UnsupportedOperationError, make_tls12_aad,
};
use rustls::{ConnectionTrafficSecrets, Error};

/// `by_rustls`, a maker of keys for `cipher`, with keys that are expanded when they are used.
pub(super) fn with_raw_keys(
    by_rustls: &'static dyn Tls12AeadAlgorithm,
    cipher: &'static Algorithm,
) -> &'static dyn Tls12AeadAlgorithm {
    match by_rustls.key_block_shape().explicit_nonce_len {
        0 => Box::leak(Box::new(Keys12::<0> { by_rustls, cipher })),
        EXPLICIT_BYTES => Box::leak(Box::new(Keys12::<EXPLICIT_BYTES> { by_rustls, cipher })),
        _ => by_rustls,
    }
}

/// Makes the keys of a session from its key block. The last `EXPLICIT` bytes of a nonce come with the record.
struct Keys12<const EXPLICIT: usize> {
    by_rustls: &'static dyn Tls12AeadAlgorithm,
    cipher: &'static Algorithm,
}

impl<const EXPLICIT: usize> Keys12<EXPLICIT> {
    /// A nonce is `iv` and `explicit`, XORed with the sequence number. A nonce that comes with a record replaces
    /// `explicit`, so it may be empty for opening.
    fn records(&self, key: &AeadKey, iv: &[u8], explicit: &[u8]) -> Box<Records12<EXPLICIT>> {
        let mut start = [0; NONCE_LEN];
        start.iter_mut().zip(iv.iter().chain(explicit)).for_each(|(to, from)| *to = *from);
        Box::new(Records12(Key::new(self.cipher, key, Iv::new(start))))
    }
}

impl<const EXPLICIT: usize> Tls12AeadAlgorithm for Keys12<EXPLICIT> {
    fn encrypter(&self, key: AeadKey, iv: &[u8], explicit: &[u8]) -> Box<dyn MessageEncrypter> {
        self.records(&key, iv, explicit)
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        self.records(&key, iv, &[])
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        self.by_rustls.key_block_shape()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.by_rustls.extract_keys(key, iv, explicit)
    }

    fn fips(&self) -> bool {
        self.by_rustls.fips()
    }
}

/// Seals or opens the records of one direction. The last `EXPLICIT` bytes of a nonce stand before the encrypted content.
struct Records12<const EXPLICIT: usize>(Key);

impl<const EXPLICIT: usize> MessageEncrypter for Records12<EXPLICIT> {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let OutboundPlainMessage { typ, version, payload: content } = message;
        let nonce = self.0.nonce(seq);
        let aad = make_tls12_aad(seq, typ, version, content.len());
        let mut payload = PrefixedPayload::with_capacity(self.encrypted_payload_len(content.len()));
        payload.extend(nonce.0.iter().skip(NONCE_LEN - EXPLICIT));
        payload.extend_from_chunks(&content);
        let sealed = payload.as_mut().get_mut(EXPLICIT..).ok_or(Error::EncryptError)?;
        let tag = self.0.seal(nonce, &aad, sealed)?;
        payload.extend_from_slice(tag.as_ref());
        Ok(OutboundOpaqueMessage::new(typ, version, payload))
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        EXPLICIT + payload_len + self.0.tag_len()
    }
}

impl<const EXPLICIT: usize> MessageDecrypter for Records12<EXPLICIT> {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let InboundOpaqueMessage { typ, version, ref mut payload } = message;
        let overhead = self.encrypted_payload_len(0);
        let length = payload.len().checked_sub(overhead).ok_or(Error::DecryptError)?;
        let nonce = match payload.get(..EXPLICIT).unwrap_or_default() {
            [] => self.0.nonce(seq),
            explicit => self.0.nonce_with(explicit).ok_or(Error::DecryptError)?,
        };
        let aad = make_tls12_aad(seq, typ, version, length);
        let length = self.0.open(nonce, &aad, payload, EXPLICIT)?;
        if length > MAX_CONTENT_BYTES {
            return Err(Error::PeerSentOversizedRecord);
        }
        payload.truncate(length);
        Ok(message.into_plain_message())
    }
}

/// The part of a nonce of AES-GCM that comes with the record.
const EXPLICIT_BYTES: usize = 8;
/// The longest content of a record (RFC 5246, 6.2.1). In records of TLS 1.3, rustls limits it.
const MAX_CONTENT_BYTES: usize = 1 << 14;
