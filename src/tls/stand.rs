//! A certificate for the tests of this room and of the rooms above, with an [`Offer`] that uses it and a root store
//! that trusts it.

use super::{Certificates, Offer, offers};
use rustls::RootCertStore;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// One certificate, for `a.test`.
pub(crate) struct Stand {
    pub offer: Offer,
    pub roots: Arc<RootCertStore>,
}

/// The certificate of this process, made at the first call.
pub(crate) fn stand() -> &'static Stand {
    static STAND: OnceLock<Stand> = OnceLock::new();
    STAND.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
        let directory: PathBuf =
            std::env::temp_dir().join(format!("gripwire-session-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("a.test.crt"), made.cert.pem()).unwrap();
        std::fs::write(directory.join("a.test.key"), made.signing_key.serialize_pem()).unwrap();
        let (certificates, problems) = Certificates::read(&directory);
        assert_eq!(problems, []);
        std::fs::remove_dir_all(&directory).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let offer = offers(&Arc::new(certificates), &[443]).unwrap().remove(0);
        Stand { offer, roots: Arc::new(roots) }
    })
}
