//! Grip-Sig: every request to an origin is signed, so that the origin knows whom it may give instructions to.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::{Proxy, SIG_KEY, standard, unsigned};
use crate::harness::pushpin_differs;
use crate::harness::request::get;
use crate::harness::signature::verify;

/// The Grip-Sig the origin gets on a route of `host`.
fn signature(proxy: &Proxy, host: &str) -> Option<String> {
    let page = Page::answering(Answer::text("x"));
    assert_eq!(proxy.fetch(&get(&page.path).host(host)).code, 200);
    page.request().headers.get("Grip-Sig").map(str::to_owned)
}

#[test]
fn every_request_is_signed_with_hs256() {
    let (header, claims) =
        verify(&signature(standard(), "any.test").expect("signed"), SIG_KEY.as_bytes()).unwrap();
    assert_eq!(header, json!({"typ": "JWT", "alg": "HS256"}));
    assert_eq!(claims["iss"], json!("pushpin"));
}

#[test]
fn a_signature_expires_an_hour_from_now() {
    let (_, claims) =
        verify(&signature(standard(), "any.test").expect("signed"), SIG_KEY.as_bytes()).unwrap();
    let expires = claims["exp"].as_u64().expect("exp is a number");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
    let hour = 3600;
    assert!((now + hour - 30..=now + hour + 30).contains(&expires), "exp {expires}, now {now}");
}

#[test]
fn a_signature_claims_no_more_than_issuer_and_expiry() {
    let (_, claims) =
        verify(&signature(standard(), "any.test").expect("signed"), SIG_KEY.as_bytes()).unwrap();
    let mut names: Vec<&String> = claims.as_object().expect("an object").keys().collect();
    names.sort();
    assert_eq!(names, ["exp", "iss"]);
}

#[test]
fn another_key_does_not_verify() {
    assert!(verify(&signature(standard(), "any.test").expect("signed"), b"not the key").is_err());
}

#[test]
fn a_route_may_sign_with_its_own_key_and_issuer() {
    let (_, claims) =
        verify(&signature(standard(), "other-key.test").expect("signed"), b"another-key").unwrap();
    assert_eq!(claims["iss"], json!("another"));
}

#[test]
fn without_a_key_nothing_is_signed() {
    pushpin_differs!("1.36 signs with the empty key, so anybody can forge its signatures");
    assert_eq!(signature(unsigned(), "any.test"), None);
}

#[test]
fn a_route_without_grip_is_neither_signed_nor_announced() {
    let page = Page::answering(Answer::text("x"));
    assert_eq!(standard().fetch(&get(&page.path).host("unsigned.test")).code, 200);
    let headers = page.request().headers;
    assert!(headers.starting_with("Grip-").is_empty(), "{headers:?}");
}
