//! The traffic key of one direction of a session. It stays as it was agreed on, because an expanded key takes 544 bytes and
//! is made in a fraction of a microsecond. The expanded key is on the stack for one record, and `ring` does not overwrite it
//! afterwards, as it does not in rustls' own provider either. The caller never uses a nonce twice.

use ring::aead::{Aad, Algorithm, LessSafeKey, Nonce, Tag, UnboundKey};
use rustls::Error;
use rustls::crypto::cipher::{self, AeadKey, Iv};
use zeroize::Zeroizing;

/// A traffic key, and the number that nonces begin from. It takes 56 bytes, so that it fits a chunk of 64 of the allocator;
/// with an `AeadKey`, which has its length beside it, it would not.
pub(super) struct Key {
    cipher: &'static Algorithm,
    /// The key, then zeros. Dropping it overwrites it with zeros.
    raw: Zeroizing<[u8; MAX_KEY_BYTES]>,
    iv: Iv,
}

impl Key {
    /// A key for `cipher`; `raw` has the length that `cipher` wants.
    pub fn new(cipher: &'static Algorithm, raw: &AeadKey, iv: Iv) -> Key {
        debug_assert_eq!(raw.as_ref().len(), cipher.key_len(), "rustls asks the suite for the length");
        let mut key = Key { cipher, raw: Zeroizing::default(), iv };
        key.raw.iter_mut().zip(raw.as_ref()).for_each(|(to, from)| *to = *from);
        key
    }

    /// Bytes that sealing adds.
    pub fn tag_len(&self) -> usize {
        self.cipher.tag_len()
    }

    /// The nonce of the record with the sequence number `seq` (RFC 8446, 5.3; RFC 7905, 2).
    pub fn nonce(&self, seq: u64) -> cipher::Nonce {
        cipher::Nonce::new(&self.iv, seq)
    }

    /// The nonce that ends with `explicit`, which came with a record (RFC 5288, 3); `None` if its length is not 8.
    pub fn nonce_with(&self, explicit: &[u8]) -> Option<cipher::Nonce> {
        let (salt, _) = self.iv.as_ref().split_first_chunk::<4>()?;
        let explicit = <[u8; 8]>::try_from(explicit).ok()?;
        let mut nonce = [0; 12];
        nonce.iter_mut().zip(salt.iter().chain(&explicit)).for_each(|(to, from)| *to = *from);
        Some(cipher::Nonce(nonce))
    }

    /// Encrypts `data` in place, and returns the tag that follows it.
    ///
    /// # Errors
    /// If `data` is longer than the cipher allows.
    pub fn seal(&self, nonce: cipher::Nonce, aad: &[u8], data: &mut [u8]) -> Result<Tag, Error> {
        let key = self.expanded().ok_or(Error::EncryptError)?;
        let nonce = Nonce::assume_unique_for_key(nonce.0);
        key.seal_in_place_separate_tag(nonce, Aad::from(aad), data).map_err(|_| Error::EncryptError)
    }

    /// Decrypts what follows the first `skipped` bytes of `sealed`, moves it to the beginning of `sealed`, and returns its
    /// length.
    ///
    /// # Errors
    /// If `sealed` is not what was sealed with this key, this nonce and this `aad`.
    pub fn open(
        &self,
        nonce: cipher::Nonce,
        aad: &[u8],
        sealed: &mut [u8],
        skipped: usize,
    ) -> Result<usize, Error> {
        let key = self.expanded().ok_or(Error::DecryptError)?;
        let nonce = Nonce::assume_unique_for_key(nonce.0);
        let opened = key.open_within(nonce, Aad::from(aad), sealed, skipped..);
        opened.map(|plain| plain.len()).map_err(|_| Error::DecryptError)
    }

    fn expanded(&self) -> Option<LessSafeKey> {
        let raw = self.raw.get(..self.cipher.key_len())?;
        UnboundKey::new(self.cipher, raw).ok().map(LessSafeKey::new)
    }
}

/// The length of the longest key that a cipher has.
const MAX_KEY_BYTES: usize = 32;
