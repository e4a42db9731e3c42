//! What an application can have this server ask for, by links and by the URLs of filters: it gets no further than its
//! tenant may.

use std::io::Write;
use std::net::SocketAddr;

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::origin::{self, Answer, Page, Then};
use crate::harness::proxy::standard;
use crate::harness::publisher::stream_item;
use crate::harness::request::get;
use crate::harness::{patience, pushpin_differs, unique};

/// What the client of a route with `debug` gets where a link fails.
const FAILED: &str = "\n\nFailed to retrieve next link.\n";

macro_rules! tenants_are_not_apart_there {
    () => {
        pushpin_differs!(
            "Pushpin asks for links wherever they lead, and 1.36 has no filters that ask an application"
        )
    };
}

/// The ways to write the address of a port of this machine that is bound to a loopback address.
fn forms_of(address: SocketAddr) -> Vec<String> {
    let port = address.port();
    vec![
        address.to_string(),
        format!("[::ffff:{}]:{port}", address.ip()),
        format!("0.0.0.0:{port}"),
        format!("127.2:{port}"),
        format!("0x7f000002:{port}"),
        format!("2130706434:{port}"),
    ]
}

/// A client of a stream that goes on at once with `link`.
fn led_to(link: &str, host: &str) -> Client {
    let page =
        Page::answering(Answer::text("[opened]\n").header("Grip-Link", &format!("<{link}>; rel=next")));
    let mut client = standard().ask(&get(&page.path).host(host));
    client.head();
    client.expect_body("[opened]\n");
    client
}

/// A client of a stream on `channel`, which the application names with the tenant's prefix left out, whose filter asks
/// at `url` about what is published.
fn filtered(channel: &str, url: &str) -> Client {
    let answer = Answer::text("[opened]\n")
        .header("Grip-Hold", "stream")
        .header("Grip-Channel", &format!("{channel}; filter=http-modify"))
        .header("Grip-Set-Meta", &format!("url=\"{url}\""));
    let mut client = standard().ask(&get(&Page::answering(answer).path).host("tenant.test"));
    client.head();
    client.expect_body("[opened]\n");
    client
}

#[test]
fn no_link_leads_to_where_the_server_is_operated() {
    tenants_are_not_apart_there!();
    let ports =
        [(standard().control, "/stats"), (standard().control, "/channels"), (standard().metrics, "/metrics")];
    for (address, path) in ports {
        for form in forms_of(address) {
            let mut client = led_to(&format!("http://{form}{path}"), "tenant.test");
            let got = client.expect_body_cut();
            assert_eq!(String::from_utf8_lossy(&got), FAILED, "{form}{path} was read");
        }
    }
}

#[test]
fn no_filter_publishes_for_another_tenant() {
    tenants_are_not_apart_there!();
    let (own, foreign) = (unique("ch"), unique("ch"));
    let mut innocent = standard().stream(&foreign);
    let call = json!({"items": [stream_item(&foreign, "forged\n")]}).to_string();
    for form in forms_of(standard().control) {
        let mut client = filtered(&own, &format!("http://{form}/publish/"));
        standard().publish_stream(&format!("t-{own}"), &call);
        let reason = client.body_within(patience()).expect("the reason, as the route has debug");
        assert!(reason.contains("is this server's port for operators or publishers"), "{form}: {reason}");
        client.expect_body_end();
    }
    standard().publish_stream(&foreign, "true\n");
    innocent.expect_body("true\n");
}

#[test]
fn a_route_whose_target_is_the_control_port_is_for_clients_alone() {
    tenants_are_not_apart_there!();
    let page = Page::answering(Answer::text("[opened]\n").header("Grip-Link", "</stats>; rel=next"));
    let mut client = standard().ask(&get(&page.path).host("own-port.test"));
    client.head();
    client.expect_body("[opened]\n");
    assert_eq!(String::from_utf8_lossy(&client.expect_body_cut()), "");
}

#[test]
fn only_targets_of_the_route_learn_who_asks() {
    tenants_are_not_apart_there!();
    let port = origin::address().port();
    for (authority, is_target) in [(format!("127.0.0.1:{port}"), true), (format!("localhost:{port}"), false)]
    {
        let asked = Page::answering(Answer::text("asked\n"));
        let mut client = led_to(&format!("http://{authority}{}", asked.path), "tenant.test");
        client.expect_body("asked\n");
        let headers = asked.request().headers;
        assert_eq!(headers.has("Grip-Sig"), is_target, "{authority}");
        assert_eq!(headers.get("X-Route"), is_target.then_some("tenant"), "{authority}");
        assert_eq!(headers.get("Host"), Some(authority.as_str()));
    }
}

#[test]
fn what_a_route_does_not_trust_its_links_do_not_reach() {
    tenants_are_not_apart_there!();
    let port = origin::address().port();
    let asked = Page::answering(Answer::text("asked\n"));
    let mut client = led_to(&format!("http://localhost:{port}{}", asked.path), "half-trusted.test");
    client.expect_body(FAILED);
    client.expect_body_cut();
    assert!(asked.request_so_far().is_none(), "an address that is no one's on the Internet was asked");
    let mut client = led_to(&format!("http://127.0.0.1:{port}{}", asked.path), "half-trusted.test");
    client.expect_body("asked\n");
}

#[test]
fn a_redirect_is_not_followed() {
    let stats = format!("http://{}/stats", standard().control);
    let page = Page::handling(move |request, socket| {
        let answer = match request.target.contains("next") {
            true => Answer::new(307, "Temporary Redirect").header("Location", &stats),
            false => Answer::text("[opened]\n").header("Grip-Link", "<?next>; rel=next"),
        };
        let _ = socket.write_all(&answer.bytes_for(&request.method));
        Then::KeepOpen
    });
    let mut client = standard().ask(&get(&page.path).host("tenant.test"));
    client.head();
    client.expect_body("[opened]\n");
    for _ in 0..2 {
        page.request();
    }
    assert!(client.body_within(std::time::Duration::from_millis(200)).is_none());
}
