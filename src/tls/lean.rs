//! The cryptography of clients' sessions: rustls' provider by `ring`, except that a session keeps its two traffic keys as
//! they were agreed on, in 56 bytes each, and expands a key for each record. The provider of rustls keeps expanded keys,
//! in 560 bytes each. Suites, key exchange, signatures and all rules of the protocol are rustls' own; only the sealing and
//! opening of records is here, and it gives the same bytes. `key` expands and uses a key, `tls12` and `tls13` say what is
//! sealed with which nonce.

mod key;
mod tls12;
mod tls13;

use ring::aead;
use rustls::crypto::{CipherSuiteCommon, CryptoProvider, ring as rustls_ring};
use rustls::{CipherSuite, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};
use std::sync::LazyLock;

/// The provider of rustls by `ring`, with the same suites in the same order, and keys that are expanded when they are
/// used.
pub(super) fn provider() -> CryptoProvider {
    // Configurations refer to suites for as long as the process runs, so the suites are made once.
    static SUITES: LazyLock<Vec<SupportedCipherSuite>> =
        LazyLock::new(|| rustls_ring::DEFAULT_CIPHER_SUITES.iter().map(with_raw_keys).collect());
    CryptoProvider { cipher_suites: SUITES.clone(), ..rustls_ring::default_provider() }
}

/// `suite` with keys that are expanded when they are used. A suite with an unknown cipher stays as it is.
fn with_raw_keys(suite: &SupportedCipherSuite) -> SupportedCipherSuite {
    let Some(cipher) = cipher(suite.suite()) else { return *suite };
    match suite {
        SupportedCipherSuite::Tls12(suite) => {
            let &&Tls12CipherSuite { ref common, prf_provider, kx, sign, aead_alg } = suite;
            let (common, aead_alg) = (copy(common), tls12::with_raw_keys(aead_alg, cipher));
            let suite = Tls12CipherSuite { common, prf_provider, kx, sign, aead_alg };
            SupportedCipherSuite::Tls12(Box::leak(Box::new(suite)))
        }
        SupportedCipherSuite::Tls13(suite) => {
            let &&Tls13CipherSuite { ref common, hkdf_provider, aead_alg, quic } = suite;
            let (common, aead_alg) = (copy(common), tls13::with_raw_keys(aead_alg, cipher));
            let suite = Tls13CipherSuite { common, hkdf_provider, aead_alg, quic };
            SupportedCipherSuite::Tls13(Box::leak(Box::new(suite)))
        }
    }
}

fn copy(common: &CipherSuiteCommon) -> CipherSuiteCommon {
    let &CipherSuiteCommon { suite, hash_provider, confidentiality_limit } = common;
    CipherSuiteCommon { suite, hash_provider, confidentiality_limit }
}

/// The cipher of `suite`, if `ring` has it.
fn cipher(suite: CipherSuite) -> Option<&'static aead::Algorithm> {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => Some(&aead::AES_128_GCM),
        CipherSuite::TLS13_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => Some(&aead::AES_256_GCM),
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => Some(&aead::CHACHA20_POLY1305),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
