use super::*;

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("gripwire-certificates-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    /// Makes a certificate for `name`, and returns it for comparison.
    fn add(&self, name: &str) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
        self.write(&format!("{name}.crt"), &made.cert.pem());
        self.write(&format!("{name}.key"), &made.signing_key.serialize_pem());
        made.cert.der().clone()
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).unwrap();
    }

    fn read(&self) -> (Arc<Certificates>, Vec<String>) {
        let (certificates, problems) = Certificates::read(&self.0);
        (Arc::new(certificates), self.told(&problems))
    }

    fn told(&self, problems: &[CertificateProblem]) -> Vec<String> {
        let directory = format!("{}/", self.0.display());
        problems.iter().map(|problem| problem.to_string().replace(&directory, "")).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn shown(certificates: &Arc<Certificates>, port: u16, host: Option<&str>) -> Option<CertificateDer<'static>> {
    certificates.clone().of_port(port).choose(host).map(|key| key.cert[0].clone())
}

#[test]
fn files_may_begin_with_a_byte_order_mark() {
    let directory = Directory::new("marked");
    let made = directory.add("a.test");
    for file in ["a.test.crt", "a.test.key"] {
        let text = fs::read_to_string(directory.0.join(file)).unwrap();
        directory.write(file, &format!("\u{feff}{text}"));
    }
    let (certificates, problems) = directory.read();
    assert_eq!((problems, shown(&certificates, 443, Some("a.test"))), (vec![], Some(made)));
}

#[test]
fn a_host_has_its_own_then_its_parents_then_that_of_the_port() {
    let directory = Directory::new("choice");
    let [exact, wildcard, of_port] = ["x.a.test", "_.a.test", "default_443"].map(|name| directory.add(name));
    let (certificates, problems) = directory.read();
    assert_eq!(problems, [""; 0]);
    for (port, host, expected) in [
        (443, Some("x.a.test"), Some(&exact)),
        (443, Some("X.A.Test"), Some(&exact)),
        (443, Some("y.a.test"), Some(&wildcard)),
        (443, Some("y.x.a.test"), Some(&of_port)),
        (443, Some("a.test"), Some(&of_port)),
        (443, None, Some(&of_port)),
        (444, Some("y.a.test"), Some(&wildcard)),
        (444, Some("a.test"), None),
        (444, None, None),
    ] {
        assert_eq!(shown(&certificates, port, host).as_ref(), expected, "{port} {host:?}");
    }
}

#[test]
fn a_port_has_to_have_something_for_someone() {
    let directory = Directory::new("serve");
    directory.add("default_443");
    let (certificates, _) = directory.read();
    assert!(certificates.serve(443) && !certificates.serve(444));
    directory.add("a.test");
    certificates.renew();
    assert!(certificates.serve(444));
}

#[test]
fn what_cannot_be_used_is_named_and_what_was_there_before_stays() {
    let directory = Directory::new("broken");
    let before = directory.add("a.test");
    directory.add("b.test");
    let (certificates, _) = directory.read();
    directory.write("a.test.crt", "nothing");
    directory.write("c.test.crt", "nothing");
    fs::remove_file(directory.0.join("b.test.crt")).unwrap();
    fs::remove_file(directory.0.join("b.test.key")).unwrap();
    let problems = directory.told(&certificates.renew());
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("a.test.crt: "), "{problems:?}");
    assert!(problems[1].starts_with("c.test."), "{problems:?}");
    assert_eq!(shown(&certificates, 443, Some("a.test")), Some(before));
    assert_eq!(shown(&certificates, 443, Some("b.test")), None);
    let after = directory.add("a.test");
    certificates.renew();
    assert_eq!(shown(&certificates, 443, Some("a.test")), Some(after));
}

#[test]
fn a_key_has_to_be_there_and_to_fit() {
    let directory = Directory::new("keys");
    directory.add("a.test");
    directory.add("b.test");
    fs::copy(directory.0.join("a.test.key"), directory.0.join("b.test.key")).unwrap();
    fs::remove_file(directory.0.join("a.test.key")).unwrap();
    let (_, problems) = directory.read();
    assert!(problems[0].starts_with("a.test.key: "), "{problems:?}");
    assert!(problems[1].starts_with("b.test.key: ") && problems[1].contains("not the key"), "{problems:?}");
    let (_, problems) = Certificates::read(Path::new("/nonexistent"));
    assert!(problems[0].to_string().starts_with("/nonexistent: "), "{problems:?}");
}
