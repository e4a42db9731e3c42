//! Whom to trust when an origin speaks TLS. The roots are read once for the process (Mozilla's, plus the
//! system's where there are any) and are shared read-only; each core has its own client configurations,
//! because rustls keeps resumable sessions behind a lock in them. The connector asks; nothing is read before
//! the first TLS target.

use futures_rustls::TlsConnector;
use futures_rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use futures_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use futures_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use futures_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::cell::OnceCell;
use std::sync::{Arc, OnceLock};

/// A core's TLS configurations.
#[derive(Default)]
pub(super) struct Tls {
    verifying: OnceCell<TlsConnector>,
    trusting: OnceCell<TlsConnector>,
}

impl Tls {
    /// The connector for targets that are verified, or for those that are not (`insecure`).
    pub async fn connector(&self, insecure: bool) -> Result<TlsConnector, Error> {
        let cell = if insecure { &self.trusting } else { &self.verifying };
        if let Some(connector) = cell.get() {
            return Ok(connector.clone());
        }
        let config = if insecure { trust_anyone()? } else { trust(process_roots().await)? };
        Ok(cell.get_or_init(|| TlsConnector::from(Arc::new(config))).clone())
    }

    /// Trusts these roots alone.
    #[cfg(test)]
    pub fn with_roots(roots: RootCertStore) -> Self {
        let config = trust(Arc::new(roots)).expect("the ring provider has TLS 1.2 and 1.3");
        Tls { verifying: OnceCell::from(TlsConnector::from(Arc::new(config))), trusting: OnceCell::new() }
    }
}

fn trust(roots: Arc<RootCertStore>) -> Result<ClientConfig, Error> {
    let versions = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

fn trust_anyone() -> Result<ClientConfig, Error> {
    let versions = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let verifier = Arc::new(AnyCertificate(provider()));
    Ok(versions.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Read off the core's thread: the system's bundle is a file of some hundred kilobytes.
async fn process_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return roots.clone();
    }
    glommio::executor().spawn_blocking(|| ROOTS.get_or_init(|| Arc::new(read_roots())).clone()).await
}

fn read_roots() -> RootCertStore {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!("reading the system's root certificates: {error}; those built in are used");
    }
    let (added, ignored) = roots.add_parsable_certificates(system.certs);
    tracing::debug!(added, ignored, "system root certificates");
    roots
}

/// Named rather than taken from the process, which another crate could have set otherwise.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Accepts whatever certificate is shown (`insecure`); the handshake's signatures are still checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
