//! Decides which certificates are trusted when an origin speaks TLS. The root certificates are read once for the
//! process (Mozilla's, and the system's if it has any) and shared read-only. Each core has its own client
//! configurations, because rustls keeps resumable sessions behind a lock in them. The connector asks for a
//! configuration; nothing is read before the first target with TLS.

use super::origin_address::Identity;
use super::route::ClientCertificate;
use crate::proto::byte_order_mark::without_bom;
use crate::runtime;
use futures_rustls::TlsConnector;
use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use futures_rustls::rustls::client::Resumption;
use futures_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use futures_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use futures_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use futures_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustc_hash::FxHashMap;
use std::cell::{OnceCell, RefCell};
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// A certificate of this server, and whether the server that sees it is not verified (`insecure`).
type Shown = (Arc<ClientCertificate>, bool);

/// A core's TLS configurations.
#[derive(Default)]
pub(super) struct Tls {
    verifying: OnceCell<Arc<ClientConfig>>,
    trusting: OnceCell<Arc<ClientConfig>>,
    /// Configurations that show a certificate.
    with_certificate: RefCell<FxHashMap<Shown, Arc<ClientConfig>>>,
}

impl Tls {
    /// The connector for a server that must prove `identity`.
    ///
    /// # Errors
    /// The client certificate of `identity` cannot be read.
    pub async fn connector(&self, identity: &Identity) -> io::Result<TlsConnector> {
        let Identity { insecure, certificate, .. } = identity;
        let config = match certificate {
            None => self.without_certificate(*insecure).await?,
            Some(certificate) => self.showing(certificate, *insecure).await?,
        };
        Ok(config.into())
    }

    /// A configuration that shows a certificate. The certificate is read when it is first needed.
    async fn showing(&self, files: &Arc<ClientCertificate>, insecure: bool) -> io::Result<Arc<ClientConfig>> {
        let key = (files.clone(), insecure);
        if let Some(config) = self.with_certificate.borrow().get(&key) {
            return Ok(config.clone());
        }
        let mut config = ClientConfig::clone(&*self.without_certificate(insecure).await?);
        let files = files.clone();
        config.client_auth_cert_resolver = runtime::blocking(move || read_certificate(&files)).await?;
        // A session must not be resumed that was agreed on with another certificate, or with none.
        config.resumption = Resumption::default();
        Ok(self.with_certificate.borrow_mut().entry(key).or_insert(Arc::new(config)).clone())
    }

    /// Reads certificate files again, for connections that are made from now on.
    pub fn forget_certificates(&self) {
        self.with_certificate.borrow_mut().clear();
    }

    /// A configuration without a certificate; `insecure` if the server is not verified.
    async fn without_certificate(&self, insecure: bool) -> io::Result<Arc<ClientConfig>> {
        let cell = if insecure { &self.trusting } else { &self.verifying };
        if let Some(config) = cell.get() {
            return Ok(config.clone());
        }
        let config = if insecure { trust_anyone() } else { trust(process_roots().await) };
        let config = config.map_err(io::Error::other)?;
        Ok(cell.get_or_init(|| Arc::new(config)).clone())
    }

    /// Trusts only these root certificates.
    #[cfg(test)]
    pub fn with_roots(roots: RootCertStore) -> Self {
        let config = trust(Arc::new(roots)).expect("the ring provider has TLS 1.2 and 1.3");
        Tls { verifying: OnceCell::from(Arc::new(config)), ..Tls::default() }
    }
}

/// Reads a certificate and its key.
///
/// # Errors
/// A file cannot be read, or the certificate and the key do not fit; the error names the file.
pub fn read_certificate(files: &ClientCertificate) -> io::Result<Arc<SingleCertAndKey>> {
    let of = |path: &Path, error: &dyn Display| io::Error::other(format!("{}: {error}", path.display()));
    let read = |path: &Path| std::fs::read(path).map_err(|error| of(path, &error));
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(without_bom(&read(&files.chain)?)).collect();
    let chain = chain.map_err(|error| of(&files.chain, &error))?;
    let key = PrivateKeyDer::from_pem_slice(without_bom(&read(&files.key)?));
    let key = key.map_err(|error| of(&files.key, &error))?;
    let shown = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| of(&files.chain, &error))?;
    Ok(Arc::new(shown.into()))
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

/// Root certificates are read on another thread than the core's: the system's bundle is a file of some hundred
/// kilobytes.
async fn process_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return roots.clone();
    }
    runtime::blocking(|| ROOTS.get_or_init(|| Arc::new(read_roots())).clone()).await
}

fn read_roots() -> RootCertStore {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(
            "reading the system's root certificates failed: {error}; only the built-in certificates are trusted"
        );
    }
    let (added, ignored) = roots.add_parsable_certificates(system.certs);
    tracing::debug!(added, ignored, "system root certificates");
    roots
}

/// Named explicitly, because another crate could change the provider of the process.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Accepts any certificate (`insecure`); the handshake's signatures are still checked.
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
