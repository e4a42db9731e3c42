//! The little of DER and PKCS #8 (RFC 5208) that keys need: which algorithm a key is of, the PKCS #1 key
//! inside an RSA one, the wrapping of a bare SEC 1 key, and the same for public keys. Called by `signature` and
//! `upstream` when a key file is read, never after. Lengths are checked; what does not fit is `None`.

/// A private key, in the form the signer wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PrivateKey {
    /// PKCS #1.
    Rsa(Vec<u8>),
    /// PKCS #8.
    Ec(Vec<u8>),
}

/// A public key, in the form the verifier wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PublicKey {
    /// PKCS #1.
    Rsa(Vec<u8>),
    /// A point of the curve P-256, uncompressed.
    Ec(Vec<u8>),
}

/// Reads a public key (SubjectPublicKeyInfo, RFC 5280 section 4.1).
pub(super) fn from_spki(der: &[u8]) -> Option<PublicKey> {
    let (info, _) = element(der, SEQUENCE)?;
    let (algorithm, rest) = element(info, SEQUENCE)?;
    let (oid, parameters) = element(algorithm, OBJECT_IDENTIFIER)?;
    let (bits, _) = element(rest, BIT_STRING)?;
    let key = bits.strip_prefix(&[0])?.to_vec();
    match oid {
        RSA_ENCRYPTION => Some(PublicKey::Rsa(key)),
        EC_PUBLIC_KEY if element(parameters, OBJECT_IDENTIFIER)?.0 == P_256 => Some(PublicKey::Ec(key)),
        _ => None,
    }
}

/// Reads a PKCS #8 key.
pub(super) fn from_pkcs8(der: &[u8]) -> Option<PrivateKey> {
    let (info, _) = element(der, SEQUENCE)?;
    let (_version, rest) = element(info, INTEGER)?;
    let (algorithm, rest) = element(rest, SEQUENCE)?;
    let (oid, _parameters) = element(algorithm, OBJECT_IDENTIFIER)?;
    let (key, _) = element(rest, OCTET_STRING)?;
    match oid {
        RSA_ENCRYPTION => Some(PrivateKey::Rsa(key.to_vec())),
        EC_PUBLIC_KEY => Some(PrivateKey::Ec(der.to_vec())),
        _ => None,
    }
}

/// Wraps a SEC 1 key (RFC 5915, `EC PRIVATE KEY`) as PKCS #8, taking it to be of curve P-256, the one ES256 has.
pub(super) fn from_sec1(der: &[u8]) -> PrivateKey {
    let curve = [encode(OBJECT_IDENTIFIER, EC_PUBLIC_KEY), encode(OBJECT_IDENTIFIER, P_256)].concat();
    let info = [encode(INTEGER, &[0]), encode(SEQUENCE, &curve), encode(OCTET_STRING, der)].concat();
    PrivateKey::Ec(encode(SEQUENCE, &info))
}

/// The content of the first element, which must have `tag`, and what follows it.
fn element(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    if first < 0x80 {
        return rest.split_at_checked(first.into());
    }
    let (digits, rest) = rest.split_at_checked((first & 0x7f).into())?;
    if digits.len() > 4 {
        return None;
    }
    let length = digits.iter().fold(0usize, |length, &digit| (length << 8) | usize::from(digit));
    rest.split_at_checked(length)
}

fn encode(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let digits: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|&digit| digit == 0).collect();
    let mut out = vec![tag];
    if length < 0x80 {
        out.push(length as u8);
    } else {
        out.push(0x80 | digits.len() as u8);
        out.extend_from_slice(&digits);
    }
    out.extend_from_slice(content);
    out
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// 1.2.840.113549.1.1.1
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.10045.2.1
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.2.840.10045.3.1.7
const P_256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(der in prop::collection::vec(any::<u8>(), 0..60)) {
            from_pkcs8(&der);
            from_spki(&der);
        }

        #[test]
        fn an_encoded_element_reads_back(content in prop::collection::vec(any::<u8>(), 0..400), cut in 0usize..400) {
            let encoded = encode(SEQUENCE, &content);
            prop_assert_eq!(element(&encoded, SEQUENCE), Some((&content[..], &b""[..])));
            prop_assert_eq!(element(&encoded, INTEGER), None);
            if cut < encoded.len() {
                prop_assert_eq!(element(&encoded[..cut], SEQUENCE), None);
            }
        }

        #[test]
        fn a_wrapped_key_is_an_ec_key(sec1 in prop::collection::vec(any::<u8>(), 0..200)) {
            let PrivateKey::Ec(wrapped) = from_sec1(&sec1) else { panic!() };
            prop_assert!(matches!(from_pkcs8(&wrapped), Some(PrivateKey::Ec(_))));
        }
    }
}
