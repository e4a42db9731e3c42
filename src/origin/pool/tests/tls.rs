//! Targets with TLS: which certificates the pool trusts, and which it shows.

use super::*;
use crate::origin::ClientCertificate;
use crate::origin::fake_origin::identity;
use futures_rustls::rustls::RootCertStore;

#[test]
fn certificates_are_verified_against_the_uris_host_unless_told_otherwise() {
    run(async {
        let identity = identity();
        let trusted = || {
            let mut roots = RootCertStore::empty();
            roots.add(identity.certificate.clone()).unwrap();
            roots
        };
        let cases = [
            ("app.test", trusted(), false, true),
            ("other.test", trusted(), false, false),
            ("app.test", RootCertStore::empty(), false, false),
            ("other.test", RootCertStore::empty(), true, true),
            ("not a name", trusted(), true, false),
        ];
        for (host, roots, insecure, connects) in cases {
            let origin = FakeOrigin::start_tls(&identity, &[&[Send(OK), Send(OK)]]);
            let mut route = route_to(&[target_at("127.0.0.1", origin.port)]);
            (route.targets[0].ssl, route.targets[0].insecure) = (true, insecure);
            route.targets[0].host = Some(host.into());
            let pool = Pool::trusting(Tls::with_roots(roots), &settings());
            let answer = pool.request(&route, get()).await;
            assert_eq!(answer.is_ok(), connects, "{host} {insecure}");
            match answer {
                Ok(answer) => assert_eq!(text(answer).await, "ok"),
                Err(error) => assert!(error.to_string().contains(&format!("TLS with {host}")), "{error}"),
            }
        }
    });
}

#[test]
fn a_target_sees_the_certificate_of_its_route_and_only_there() {
    run(async {
        let (server, client) = (identity(), identity());
        let files = client.write("client-certificate");
        let one: &[Reply] = &[Send(OK)];
        let origin = FakeOrigin::start_tls_for(Some(&client), &server, &[one; 5]);
        let mut route = route_to(&[target_at("127.0.0.1", origin.port)]);
        (route.targets[0].ssl, route.targets[0].insecure) = (true, true);
        let pool = pool();
        assert!(pool.request(&route, get()).await.is_err(), "nothing is shown");
        route.targets[0].client_certificate = Some(Arc::new(files.clone()));
        assert_eq!(text(pool.request(&route, get()).await.unwrap()).await, "ok");
        std::fs::remove_file(&files.key).unwrap();
        assert_eq!(text(pool.request(&route, get()).await.unwrap()).await, "ok", "it is read once");
        pool.renew(&settings());
        let error = pool.request(&route, get()).await.unwrap_err().to_string();
        assert!(error.contains("key.pem"), "{error}");
        let missing = ClientCertificate { key: files.key.with_file_name("missing.pem"), ..files };
        route.targets[0].client_certificate = Some(Arc::new(missing));
        let error = pool.request(&route, get()).await.unwrap_err().to_string();
        assert!(error.contains("missing.pem"), "{error}");
    });
}

#[test]
fn a_failed_handshake_moves_on_to_the_next_target() {
    run(async {
        let untrusted = FakeOrigin::start_tls(&identity(), &[&[Send(OK)]]);
        let plain = FakeOrigin::start(&[&[Send(OK)]]);
        let mut route =
            route_to(&[target_at("127.0.0.1", untrusted.port), target_at("127.0.0.1", plain.port)]);
        route.targets[0].ssl = true;
        let pool = Pool::trusting(Tls::with_roots(RootCertStore::empty()), &settings());
        assert_eq!(text(pool.request(&route, get()).await.unwrap()).await, "ok");
        assert_eq!(untrusted.asked_more(), 0);
    });
}

#[test]
fn tickets_do_not_end_a_kept_connection_but_data_and_the_end_do() {
    run(async {
        let identity = identity();
        let surplus = "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray";
        let cases: [(&[Reply], usize); 3] = [
            (&[Send("HTTP/1.1 204 No Content\r\n\r\n"), Send(OK)], 1),
            (&[Stall(surplus)], 0),
            (&[Send("HTTP/1.1 204 No Content\r\n\r\n")], 0),
        ];
        for (script, reused) in cases {
            let origin = FakeOrigin::start_tls(&identity, &[script, &[Send(OK)]]);
            let mut route = route_to(&[target_at("127.0.0.1", origin.port)]);
            (route.targets[0].ssl, route.targets[0].insecure) = (true, true);
            let pool = pool();
            text(pool.request(&route, get()).await.unwrap()).await;
            while reused == 0 && pool.counts().idle > 0 {
                pool.purge(Instant::now());
            }
            assert_eq!(text(pool.request(&route, get()).await.unwrap()).await, "ok");
            assert_eq!(origin.connections(), 2 - reused);
        }
    });
}
