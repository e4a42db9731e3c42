//! Finds the algorithm of keys in files, RSA or the elliptic curve P-256, and encodes each key for `jsonwebtoken`.
//! `signature` and `upstream` call this only when they read a key file. A malformed key, or a key of another
//! algorithm, is `None`.

use pkcs8::der::Encode;
use pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use pkcs8::{ObjectIdentifier, PrivateKeyInfo};
use sec1::EcPrivateKey;

/// A private key in the signer's encoding.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PrivateKey {
    /// PKCS #1.
    Rsa(Vec<u8>),
    /// PKCS #8.
    Ec(Vec<u8>),
}

/// A public key in the verifier's encoding.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PublicKey {
    /// PKCS #1.
    Rsa(Vec<u8>),
    /// A point of the curve P-256, uncompressed.
    Ec(Vec<u8>),
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo (RFC 5280 section 4.1).
    pub fn of_spki(der: &[u8]) -> Option<PublicKey> {
        let info = SubjectPublicKeyInfoRef::try_from(der).ok()?;
        let key = info.subject_public_key.as_bytes()?.to_vec();
        match info.algorithm.oids().ok()? {
            (RSA_ENCRYPTION, _) => Some(PublicKey::Rsa(key)),
            (EC_PUBLIC_KEY, Some(P_256)) => Some(PublicKey::Ec(key)),
            _ => None,
        }
    }
}

impl PrivateKey {
    /// Reads PKCS #8 (RFC 5208, RFC 5958).
    pub fn of_pkcs8(der: &[u8]) -> Option<PrivateKey> {
        let info = PrivateKeyInfo::try_from(der).ok()?;
        match info.algorithm.oids().ok()? {
            (RSA_ENCRYPTION, _) => Some(PrivateKey::Rsa(info.private_key.to_vec())),
            (EC_PUBLIC_KEY, Some(P_256)) => Some(PrivateKey::Ec(der.to_vec())),
            _ => None,
        }
    }

    /// Wraps a SEC 1 key (RFC 5915, `EC PRIVATE KEY`) as PKCS #8. A key that does not name its curve is taken to be
    /// of P-256, the curve of ES256.
    pub fn of_sec1(der: &[u8]) -> Option<PrivateKey> {
        let curve = EcPrivateKey::try_from(der).ok()?.parameters.and_then(|curve| curve.named_curve());
        if curve.is_some_and(|curve| curve != P_256) {
            return None;
        }
        let algorithm = AlgorithmIdentifierRef { oid: EC_PUBLIC_KEY, parameters: Some((&P_256).into()) };
        PrivateKeyInfo::new(algorithm, der).to_der().ok().map(PrivateKey::Ec)
    }
}

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustls_pki_types::PrivateKeyDer;
    use rustls_pki_types::pem::PemObject;

    fn private_key(file: &str) -> Vec<u8> {
        let path = format!("{}/src/proto/grip/testdata/{file}", env!("CARGO_MANIFEST_DIR"));
        PrivateKeyDer::from_pem_file(path).unwrap().secret_der().to_vec()
    }

    #[test]
    fn a_key_is_the_same_in_both_of_its_forms() {
        let rsa = private_key("rsa-pkcs1.pem");
        assert_eq!(PrivateKey::of_pkcs8(&private_key("rsa-pkcs8.pem")), Some(PrivateKey::Rsa(rsa)));
        let (sec1, pkcs8) = (private_key("ec-sec1.pem"), private_key("ec-pkcs8.pem"));
        let Some(PrivateKey::Ec(wrapped)) = PrivateKey::of_sec1(&sec1) else { panic!("not read") };
        let secret = |der| EcPrivateKey::try_from(PrivateKeyInfo::try_from(der).unwrap().private_key);
        assert_eq!(
            secret(wrapped.as_slice()).unwrap().private_key,
            secret(pkcs8.as_slice()).unwrap().private_key
        );
        assert_eq!(PrivateKey::of_pkcs8(&wrapped), Some(PrivateKey::Ec(wrapped.clone())));
    }

    #[test]
    fn a_sec1_key_may_leave_out_its_curve_but_not_name_another() {
        let der = private_key("ec-sec1.pem");
        let mut key = EcPrivateKey::try_from(der.as_slice()).unwrap();
        (key.parameters, key.public_key) = (None, None);
        assert!(PrivateKey::of_sec1(&key.to_der().unwrap()).is_some());
        // secp256k1 has secrets of the same length.
        key.parameters = Some(ObjectIdentifier::new_unwrap("1.3.132.0.10").into());
        assert_eq!(PrivateKey::of_sec1(&key.to_der().unwrap()), None);
    }

    #[test]
    fn a_key_that_is_cut_is_none() {
        let (rsa, ec) = (private_key("rsa-pkcs8.pem"), private_key("ec-sec1.pem"));
        assert!((0..rsa.len()).all(|length| PrivateKey::of_pkcs8(&rsa[..length]).is_none()));
        assert!((0..ec.len()).all(|length| PrivateKey::of_sec1(&ec[..length]).is_none()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(der in prop::collection::vec(any::<u8>(), 0..60)) {
            PrivateKey::of_pkcs8(&der);
            PrivateKey::of_sec1(&der);
            PublicKey::of_spki(&der);
        }
    }
}
