//! Grip-Sig: the token that proves to an origin that a request came through this server, a JWT with the claims `iss`
//! and `exp` (RFC 7519). [`Key`] is made from a setting at start; a core asks its [`Signer`] once for each request.
//! Parsing a key also signs with it once, so an invalid key is found at start rather than by a request.

use super::key_algorithm::PrivateKey;
use super::key_setting::Material;
use http::HeaderValue;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;
use std::cell::RefCell;
use std::path::Path;

pub use super::key_setting::KeyError;

/// A key that signs tokens.
#[derive(Clone, Debug)]
pub struct Key {
    encoding: EncodingKey,
    algorithm: Algorithm,
}

impl Key {
    /// Reads a `sig_key` setting: the secret itself, `base64:` and the secret, or `file:` and the path of a PEM
    /// private key (RS256 or ES256) or of a secret in hexadecimal. Relative paths start at `base_dir`. `None` for an
    /// empty secret: requests are then not signed.
    ///
    /// # Errors
    /// The key cannot be read, or cannot sign.
    pub fn parse(setting: &str, base_dir: &Path) -> Result<Option<Key>, KeyError> {
        let (pem, path) = match Material::read(setting, base_dir)? {
            None => return Ok(None),
            Some(Material::Secret(secret)) => {
                let encoding = EncodingKey::from_secret(&secret);
                return Ok(Some(Key { encoding, algorithm: Algorithm::HS256 }));
            }
            Some(Material::Pem(pem, path)) => (pem, path),
        };
        let key = match pem_private_key(&pem) {
            Some(PrivateKey::Rsa(der)) => {
                Key { encoding: EncodingKey::from_rsa_der(&der), algorithm: Algorithm::RS256 }
            }
            Some(PrivateKey::Ec(der)) => {
                Key { encoding: EncodingKey::from_ec_der(&der), algorithm: Algorithm::ES256 }
            }
            None => return Err(KeyError::Unsupported { path }),
        };
        match key.sign(&Claims { iss: "", exp: 0 }) {
            Some(_) => Ok(Some(key)),
            None => Err(KeyError::Unsupported { path }),
        }
    }

    fn sign(&self, claims: &Claims) -> Option<HeaderValue> {
        let token = encode(&Header::new(self.algorithm), claims, &self.encoding).ok()?;
        HeaderValue::try_from(token).ok()
    }
}

/// Makes the tokens of one issuer. Each core has its own.
#[derive(Debug)]
pub struct Signer {
    iss: Box<str>,
    key: Key,
    /// The last token and the second in which it was made: all requests of one second carry the same token.
    last: RefCell<(Option<u64>, HeaderValue)>,
}

impl Signer {
    /// A signer of tokens whose issuer is `iss`.
    pub fn new(iss: &str, key: &Key) -> Signer {
        // This token verifies nowhere. It is sent only if the key, which signed at start, fails on its first request.
        let last = RefCell::new((None, HeaderValue::from_static("")));
        Signer { iss: iss.into(), key: key.clone(), last }
    }

    /// The value of Grip-Sig at `now_s`, in Unix time; it expires an hour later.
    pub fn token(&self, now_s: u64) -> HeaderValue {
        let mut last = self.last.borrow_mut();
        if last.0 != Some(now_s) {
            let claims = Claims { iss: &self.iss, exp: now_s.saturating_add(LIFETIME_S) };
            if let Some(token) = self.key.sign(&claims) {
                *last = (Some(now_s), token);
            }
        }
        last.1.clone()
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    exp: u64,
}

/// The first private key of a PEM file. Other keys and other sections (EC PARAMETERS, certificates) are skipped.
fn pem_private_key(pem: &[u8]) -> Option<PrivateKey> {
    match PrivateKeyDer::from_pem_slice(pem).ok()? {
        PrivateKeyDer::Pkcs1(key) => Some(PrivateKey::Rsa(key.secret_pkcs1_der().to_vec())),
        PrivateKeyDer::Pkcs8(key) => PrivateKey::of_pkcs8(key.secret_pkcs8_der()),
        PrivateKeyDer::Sec1(key) => PrivateKey::of_sec1(key.secret_sec1_der()),
        _ => None,
    }
}

const LIFETIME_S: u64 = 3600;

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};

    const TESTDATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/proto/grip/testdata");
    const NOW_S: u64 = 4_000_000_000;

    fn parse(setting: &str) -> Result<Option<Key>, String> {
        Key::parse(setting, Path::new(TESTDATA)).map_err(|e| e.to_string())
    }

    /// Signs with `setting`, checks signature, header and claims, and returns the token.
    fn checked_token(setting: &str, algorithm: Algorithm, public: &DecodingKey) -> String {
        let key = parse(setting).unwrap().unwrap();
        let token = Signer::new("pushpin", &key).token(NOW_S).to_str().unwrap().to_string();
        let header = decode_header(&token).unwrap();
        assert_eq!((header.alg, header.typ.as_deref()), (algorithm, Some("JWT")), "{setting}");
        let claims = decode::<serde_json::Value>(&token, public, &Validation::new(algorithm)).unwrap().claims;
        assert_eq!(claims, serde_json::json!({"iss": "pushpin", "exp": NOW_S + 3600}), "{setting}");
        token
    }

    #[test]
    fn secrets_come_as_text_base64_and_hex_files() {
        let public = DecodingKey::from_secret(b"changeme");
        let settings = ["changeme", "base64:Y2hhbmdlbWU=", "file:secret.hex"];
        let tokens = settings.map(|setting| checked_token(setting, Algorithm::HS256, &public));
        assert!(tokens.iter().all(|token| *token == tokens[0]));
        // {"typ":"JWT","alg":"HS256"}, the header as Pushpin writes it.
        assert!(tokens[0].starts_with("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9."));
    }

    #[test]
    fn pem_files_decide_the_algorithm() {
        let rsa = DecodingKey::from_rsa_der(include_bytes!("testdata/rsa-public.der"));
        let ec = DecodingKey::from_ec_der(include_bytes!("testdata/ec-public.bin"));
        checked_token("file:rsa-pkcs8.pem", Algorithm::RS256, &rsa);
        checked_token("file:rsa-pkcs1.pem", Algorithm::RS256, &rsa);
        checked_token("file:ec-pkcs8.pem", Algorithm::ES256, &ec);
        checked_token("file:ec-sec1.pem", Algorithm::ES256, &ec);
        checked_token(&format!("file:{TESTDATA}/ec-sec1.pem"), Algorithm::ES256, &ec);
    }

    #[test]
    fn a_key_file_may_begin_with_a_byte_order_mark() {
        let path = std::env::temp_dir().join(format!("gripwire-marked-key-{}", std::process::id()));
        let pem = std::fs::read_to_string(format!("{TESTDATA}/ec-pkcs8.pem")).unwrap();
        for text in [pem.as_str(), "6b6579"] {
            std::fs::write(&path, format!("\u{feff}{text}")).unwrap();
            assert!(parse(&format!("file:{}", path.display())).unwrap().is_some(), "{text}");
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn an_empty_secret_is_no_key() {
        assert!(parse("").unwrap().is_none());
        assert!(parse("base64:").unwrap().is_none());
    }

    #[test]
    fn bad_keys_are_found_when_parsed() {
        let table = [
            ("base64:*", "the key is said to be base64 but is not"),
            ("file:absent.pem", "No such file"),
            ("file:rsa-public.der", "holds neither a key in PEM nor a secret in hexadecimal digits"),
            ("file:ec-p384-pkcs8.pem", "not an unencrypted RSA or EC (P-256) private key"),
            ("file:ec-secp256k1-sec1.pem", "not an unencrypted RSA or EC (P-256) private key"),
            ("file:ec-encrypted.pem", "`openssl pkcs8 -topk8 -nocrypt -in KEY`"),
            ("file:ed25519-pkcs8.pem", "not an unencrypted RSA or EC (P-256) private key"),
            ("file:ec-public.pem", "not an unencrypted RSA or EC (P-256) private key"),
        ];
        for (setting, error) in table {
            let got = parse(setting).unwrap_err();
            assert!(got.contains(error), "{setting}: {got}");
        }
    }

    #[test]
    fn a_second_has_one_token() {
        // HS256 is deterministic, so equal tokens would prove nothing; a different token in place of the last one
        // does.
        let signer = Signer::new("i", &parse("changeme").unwrap().unwrap());
        let first = signer.token(NOW_S);
        signer.last.borrow_mut().1 = HeaderValue::from_static("kept");
        assert_eq!(signer.token(NOW_S), "kept");
        assert_ne!(signer.token(NOW_S + 1), first);
        assert_eq!(signer.token(NOW_S), first, "a clock set back makes a token of its own time");
    }

    #[test]
    fn a_key_does_not_show_in_debug_output() {
        let key = parse("changeme").unwrap().unwrap();
        assert!(!format!("{:?}", Signer::new("i", &key)).contains("changeme"));
    }
}
