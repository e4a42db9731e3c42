//! Recognizes requests of other GRIP proxies: requests with an unexpired Grip-Sig that the key in the setting
//! `upstream_key` verifies. Such a proxy has checked its clients and interprets the instructions of their
//! application, so its requests and their answers pass unchanged. The issuer is not checked.

use super::key_algorithm::PublicKey;
use super::key_setting::{KeyError, Material};
use http::HeaderValue;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use std::cell::RefCell;
use std::path::Path;

/// The key that verifies the tokens of other proxies.
#[derive(Clone)]
pub struct UpstreamKey {
    decoding: DecodingKey,
    algorithm: Algorithm,
}

impl UpstreamKey {
    /// Reads an `upstream_key` setting, which has the forms of `sig_key`, but a PEM file must contain a public key.
    /// `None` for an empty secret: no proxy is then trusted.
    ///
    /// # Errors
    /// The key cannot be read, or cannot verify.
    pub fn parse(setting: &str, base_dir: &Path) -> Result<Option<UpstreamKey>, KeyError> {
        let (pem, path) = match Material::read(setting, base_dir)? {
            None => return Ok(None),
            Some(Material::Secret(secret)) => {
                let decoding = DecodingKey::from_secret(&secret);
                return Ok(Some(UpstreamKey { decoding, algorithm: Algorithm::HS256 }));
            }
            Some(Material::Pem(pem, path)) => (pem, path),
        };
        let public = SubjectPublicKeyInfoDer::from_pem_slice(&pem).ok();
        match public.and_then(|key| PublicKey::of_spki(&key)) {
            Some(PublicKey::Rsa(der)) => Ok(Some(UpstreamKey {
                decoding: DecodingKey::from_rsa_der(&der),
                algorithm: Algorithm::RS256,
            })),
            Some(PublicKey::Ec(point)) => Ok(Some(UpstreamKey {
                decoding: DecodingKey::from_ec_der(&point),
                algorithm: Algorithm::ES256,
            })),
            None => Err(KeyError::NotPublic { path }),
        }
    }

    /// When `token` expires, in Unix time; `None` if it is not signed with this key.
    fn expiry(&self, token: &str) -> Option<u64> {
        let mut validation = Validation::new(self.algorithm);
        // Expiry is checked when the token is used, because tokens are cached; no other claim is checked.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.set_required_spec_claims::<&str>(&[]);
        let claims = decode::<Claims>(token, &self.decoding, &validation).ok()?.claims;
        (claims.exp >= 0.0).then_some(claims.exp as u64)
    }
}

/// Recognizes requests of other GRIP proxies. Each core has its own.
pub struct Upstream {
    key: UpstreamKey,
    /// The last verified token, and when it expires: a proxy sends the same token with all requests of one second.
    last: RefCell<Option<(HeaderValue, u64)>>,
}

impl Upstream {
    /// Trusts proxies that sign with `key`.
    pub fn new(key: UpstreamKey) -> Upstream {
        Upstream { key, last: RefCell::default() }
    }

    /// Whether a request with this Grip-Sig comes from another proxy, at `now_s` in Unix time.
    pub fn is_trusted(&self, signature: &HeaderValue, now_s: u64) -> bool {
        let mut last = self.last.borrow_mut();
        if let Some((known, expires_s)) = &*last
            && known == signature
        {
            return now_s < *expires_s;
        }
        let expires_s = signature.to_str().ok().and_then(|token| self.key.expiry(token));
        let Some(expires_s) = expires_s else { return false };
        *last = Some((signature.clone(), expires_s));
        now_s < expires_s
    }
}

#[derive(Deserialize)]
struct Claims {
    exp: f64,
}

#[cfg(test)]
mod tests {
    use super::super::signature::{Key, Signer};
    use super::*;

    const TESTDATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/proto/grip/testdata");
    const NOW_S: u64 = 4_000_000_000;

    fn upstream(setting: &str) -> Upstream {
        Upstream::new(UpstreamKey::parse(setting, Path::new(TESTDATA)).unwrap().unwrap())
    }

    fn token(setting: &str) -> HeaderValue {
        let key = Key::parse(setting, Path::new(TESTDATA)).unwrap().unwrap();
        Signer::new("another", &key).token(NOW_S)
    }

    #[test]
    fn each_form_of_key_verifies_what_its_counterpart_signed_and_nothing_else() {
        let pairs = [
            ("changeme", "base64:Y2hhbmdlbWU="),
            ("file:ec-pkcs8.pem", "file:ec-public.pem"),
            ("file:rsa-pkcs1.pem", "file:rsa-public.pem"),
        ];
        for (private, _) in pairs {
            let token = token(private);
            for (of, public) in pairs {
                let upstream = upstream(public);
                assert_eq!(upstream.is_trusted(&token, NOW_S), of == private, "{private} {public}");
            }
        }
    }

    #[test]
    fn a_token_is_good_until_it_expires() {
        let (upstream, token) = (upstream("changeme"), token("changeme"));
        assert!(upstream.is_trusted(&token, NOW_S + 3599));
        assert!(!upstream.is_trusted(&token, NOW_S + 3600), "the one verified last, too");
        assert!(!self::upstream("changeme").is_trusted(&token, NOW_S + 3600));
    }

    #[test]
    fn nobody_is_trusted_without_a_key_or_a_token() {
        assert!(UpstreamKey::parse("", Path::new(TESTDATA)).unwrap().is_none());
        let upstream = upstream("changeme");
        for odd in ["", "a.b.c", "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.eyJleHAiOjQwMDAwMDM2MDB9."] {
            assert!(!upstream.is_trusted(&HeaderValue::from_static(odd), NOW_S), "{odd}");
        }
    }

    #[test]
    fn what_is_no_public_key_of_a_known_algorithm_is_refused() {
        for file in ["file:ec-pkcs8.pem", "file:ed25519-public.pem", "file:ec-p384-public.pem"] {
            let refused = UpstreamKey::parse(file, Path::new(TESTDATA));
            assert!(matches!(refused, Err(KeyError::NotPublic { .. })), "{file}");
        }
    }
}
