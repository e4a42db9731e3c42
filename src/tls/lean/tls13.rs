//! The records of TLS 1.3 (RFC 8446, 5.2): the type of a record is encrypted behind its content, and the additional data
//! is the header of the encrypted record.

use super::key::Key;
use ring::aead::Algorithm;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter,
    OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls13AeadAlgorithm,
    UnsupportedOperationError, make_tls13_aad,
};
use rustls::{ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion};

/// `by_rustls`, a maker of keys for `cipher`, with keys that are expanded when they are used.
pub(super) fn with_raw_keys(
    by_rustls: &'static dyn Tls13AeadAlgorithm,
    cipher: &'static Algorithm,
) -> &'static dyn Tls13AeadAlgorithm {
    Box::leak(Box::new(Keys13 { by_rustls, cipher }))
}

/// Makes the keys of a session from its secrets.
struct Keys13 {
    by_rustls: &'static dyn Tls13AeadAlgorithm,
    cipher: &'static Algorithm,
}

impl Tls13AeadAlgorithm for Keys13 {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Records13(Key::new(self.cipher, &key, iv)))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Records13(Key::new(self.cipher, &key, iv)))
    }

    fn key_len(&self) -> usize {
        self.by_rustls.key_len()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.by_rustls.extract_keys(key, iv)
    }

    fn fips(&self) -> bool {
        self.by_rustls.fips()
    }
}

/// Seals or opens the records of one direction.
struct Records13(Key);

impl MessageEncrypter for Records13 {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let length = self.encrypted_payload_len(message.payload.len());
        let mut payload = PrefixedPayload::with_capacity(length);
        payload.extend_from_chunks(&message.payload);
        payload.extend_from_slice(&[u8::from(message.typ)]);
        let tag = self.0.seal(self.0.nonce(seq), &make_tls13_aad(length), payload.as_mut())?;
        payload.extend_from_slice(tag.as_ref());
        // Records of TLS 1.3 say that they are of TLS 1.2 (RFC 8446, 5.1).
        Ok(OutboundOpaqueMessage::new(ContentType::ApplicationData, ProtocolVersion::TLSv1_2, payload))
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        payload_len + TYPE_BYTES + self.0.tag_len()
    }
}

impl MessageDecrypter for Records13 {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let aad = make_tls13_aad(message.payload.len());
        let length = self.0.open(self.0.nonce(seq), &aad, &mut message.payload, 0)?;
        message.payload.truncate(length);
        message.into_tls13_unpadded_message()
    }
}

/// The type of a record, encrypted behind its content.
const TYPE_BYTES: usize = 1;
