//! The forms of a key in a setting: the secret itself, `base64:` and the secret, or `file:` and the path of a PEM
//! file or of a secret in hexadecimal. `signature` makes a signing key of it, `upstream` a verifying key.

use super::json::from_base64;
use crate::proto::byte_order_mark::without_bom;
use std::path::{Path, PathBuf};

/// The contents of a key setting.
pub(super) enum Material {
    /// A shared secret; never empty.
    Secret(Vec<u8>),
    /// The content of a PEM file, and the file's path.
    Pem(Vec<u8>, PathBuf),
}

/// Why a key setting cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key file cannot be read.
    #[error("key file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The text after `base64:` is not base64.
    #[error("the key is said to be base64 but is not")]
    NotBase64,
    /// The key file is neither PEM nor hexadecimal.
    #[error("key file {}: holds neither a key in PEM nor a secret in hexadecimal digits", path.display())]
    NotHex {
        /// The file.
        path: PathBuf,
    },
    /// The PEM file has no key that can sign.
    #[error(
        "key file {}: not an unencrypted RSA or EC (P-256) private key; \
         `openssl pkcs8 -topk8 -nocrypt -in KEY` prints most keys in a form that is read",
        path.display()
    )]
    Unsupported {
        /// The file.
        path: PathBuf,
    },
    /// The PEM file has no key that can verify.
    #[error(
        "key file {}: not an RSA or EC (P-256) public key; `openssl pkey -pubout -in KEY` prints that of a private one",
        path.display()
    )]
    NotPublic {
        /// The file.
        path: PathBuf,
    },
}

impl Material {
    /// Reads a key setting; relative paths start at `base_dir`. `None` for an empty secret.
    ///
    /// # Errors
    /// The file cannot be read, or the key is neither base64 nor hexadecimal where it must be.
    pub fn read(setting: &str, base_dir: &Path) -> Result<Option<Material>, KeyError> {
        if let Some(path) = setting.strip_prefix("file:") {
            let path = base_dir.join(path);
            return match std::fs::read(&path) {
                Ok(content) => Material::of_file(without_bom(&content).to_vec(), path),
                Err(source) => Err(KeyError::Unreadable { path, source }),
            };
        }
        let secret = match setting.strip_prefix("base64:") {
            Some(text) => from_base64(text.as_bytes()).ok_or(KeyError::NotBase64)?.to_vec(),
            None => setting.as_bytes().to_vec(),
        };
        Ok(Material::of_secret(secret))
    }

    fn of_secret(secret: Vec<u8>) -> Option<Material> {
        (!secret.is_empty()).then_some(Material::Secret(secret))
    }

    fn of_file(content: Vec<u8>, path: PathBuf) -> Result<Option<Material>, KeyError> {
        if content.trim_ascii_start().starts_with(b"-----BEGIN") {
            return Ok(Some(Material::Pem(content, path)));
        }
        match from_hex(content.trim_ascii()) {
            Some(secret) => Ok(Material::of_secret(secret)),
            None => Err(KeyError::NotHex { path }),
        }
    }
}

fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, odd) = digits.as_chunks::<2>();
    if !odd.is_empty() {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    pairs.iter().map(|[high, low]| Some((value(*high)? << 4) | value(*low)?)).collect()
}
