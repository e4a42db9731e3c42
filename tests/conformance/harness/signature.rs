//! Verifies a Grip-Sig by hand: a JSON Web Token (RFC 7519) signed with HMAC-SHA-256 (HS256, RFC 7518 section 3.2).
//!
//! Written against the RFCs and not with a JWT library, so that the token's exact form is what is tested.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// The header and the claims of `token`, if `key` signed it.
pub fn verify(token: &str, key: &[u8]) -> Result<(Value, Value), String> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        return Err(format!("{token:?} does not have three parts"));
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(format!("{header}.{claims}").as_bytes());
    mac.verify_slice(&decode(signature)?).map_err(|_| format!("{token:?} is not signed with this key"))?;
    Ok((parse(header)?, parse(claims)?))
}

fn parse(part: &str) -> Result<Value, String> {
    serde_json::from_slice(&decode(part)?).map_err(|error| format!("{part:?}: {error}"))
}

fn decode(part: &str) -> Result<Vec<u8>, String> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|error| format!("{part:?}: {error}"))
}

/// A token that expires at `expires`, in Unix time, signed with `key`.
pub fn sign(key: &[u8], expires: u64) -> String {
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"typ": "JWT", "alg": "HS256"}));
    let signed = format!("{header}.{}", part(json!({"iss": "another", "exp": expires})));
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
