//! The routes file: which route a request takes, what a route changes, and which target answers.
//!
//! `harness/routing.rs` holds the file; its routes tell by X-Route which of them was taken.

use crate::harness::origin::{Answer, Page, Received};
use crate::harness::proxy::standard;
use crate::harness::request::get;
use crate::harness::{pushpin_differs, unique};

/// What the origin receives for a path below a prefix, on a host.
fn received(host: &str, prefix: &str) -> (Received, String) {
    let page = Page::answering(Answer::text("routed\n"));
    let response = standard().fetch(&get(format!("{prefix}{}", page.path)).host(host));
    assert_eq!((response.code, response.text()), (200, "routed\n"));
    (page.request(), page.path)
}

fn route_taken(host: &str, prefix: &str) -> String {
    received(host, prefix).0.headers.get("X-Route").expect("an X-Route").to_owned()
}

#[test]
fn an_exact_host_goes_before_the_route_of_all_hosts() {
    assert_eq!(route_taken("exact.test", ""), "exact");
}

#[test]
fn a_host_without_a_route_of_its_own_takes_the_route_of_all_hosts() {
    assert_eq!(route_taken("unheard-of.test", ""), "any");
}

#[test]
fn a_host_is_matched_without_its_port_and_in_any_case() {
    assert_eq!(route_taken("EXACT.Test:4711", ""), "exact");
}

#[test]
fn a_subdomain_is_another_host() {
    assert_eq!(route_taken("sub.exact.test", ""), "any");
}

#[test]
fn the_longest_path_beginning_wins() {
    assert_eq!(route_taken("paths.test", "/long/longer"), "longer");
    assert_eq!(route_taken("paths.test", "/long"), "long");
    assert_eq!(route_taken("paths.test", ""), "root");
}

#[test]
fn a_path_beginning_is_a_prefix_of_the_path_and_not_of_its_segments() {
    assert_eq!(route_taken("paths.test", "/longish"), "long");
}

#[test]
fn a_path_beginning_matches_the_path_as_it_is_encoded() {
    assert_eq!(route_taken("paths.test", "/long%2Flonger"), "long");
}

#[test]
fn a_host_whose_rules_do_not_match_is_not_served_by_the_route_of_all_hosts() {
    let response = standard().fetch(&get("/elsewhere").host("only.test"));
    assert_eq!(response.code, 502);
}

#[test]
fn ssl_no_matches_a_plain_request() {
    assert_eq!(route_taken("plain.test", ""), "plain");
}

#[test]
fn ssl_yes_does_not_match_a_plain_request() {
    assert_eq!(route_taken("tls.test", ""), "whichever");
}

#[test]
fn a_route_with_an_id_is_a_route() {
    assert_eq!(route_taken("named.test", ""), "named");
}

#[test]
fn proto_http_matches_an_http_request() {
    assert_eq!(route_taken("http.test", ""), "http");
}

#[test]
fn as_host_replaces_the_host() {
    assert_eq!(received("renamed.test", "").0.headers.get("Host"), Some("inner.test:8123"));
}

#[test]
fn a_targets_host_replaces_the_host() {
    assert_eq!(received("target-host.test", "").0.headers.get("Host"), Some("target.test"));
}

#[test]
fn path_rem_removes_from_the_paths_beginning() {
    let (request, path) = received("removal.test", "/removed");
    assert_eq!(request.target, path);
}

#[test]
fn path_rem_leaves_the_query_alone() {
    let page = Page::answering(Answer::text("x"));
    standard().fetch(&get(format!("/removed{}?path=/removed", page.path)).host("removal.test"));
    assert_eq!(page.request().target, format!("{}?path=/removed", page.path));
}

#[test]
fn replace_beg_replaces_the_paths_beginning() {
    let (request, path) = received("replacement.test", "/old");
    assert_eq!(request.target, format!("/new{path}"));
}

#[test]
fn quotes_protect_spaces_commas_and_number_signs() {
    assert_eq!(received("quoted.test", "").0.headers.get("X-Quoted"), Some("one, two # three"));
}

#[test]
fn a_routes_headers_replace_and_remove_those_of_the_client() {
    let page = Page::answering(Answer::text("x"));
    let dressed =
        get(&page.path).header("X-Set", "by-client").header("x-set", "twice").header("X-Gone", "by-client");
    standard().fetch(&dressed.host("set-header.test"));
    let headers = page.request().headers;
    assert_eq!(headers.all("X-Set"), ["by-route"]);
    assert!(!headers.has("X-Gone"));
}

#[test]
fn orig_headers_sends_every_header_a_second_time_with_its_mark() {
    let page = Page::answering(Answer::text("x"));
    standard().fetch(&get(&page.path).host("marked.test").header("X-Mine", "original"));
    let headers = page.request().headers;
    assert_eq!(headers.get("X-Mine"), Some("original"));
    assert_eq!(headers.get("eb9bf0f5-X-Mine"), Some("original"));
}

#[test]
fn a_target_that_refuses_connections_is_passed_over() {
    let (request, _) = received("failover.test", "");
    assert_eq!(request.method, "GET");
}

#[test]
fn a_body_is_sent_to_the_next_target_too() {
    let page = Page::answering(Answer::text("taken\n"));
    let asked = crate::harness::request::request("POST", &page.path).host("failover.test").body("the body");
    assert_eq!(standard().fetch(&asked).text(), "taken\n");
    assert_eq!(page.request().body, b"the body");
}

#[test]
fn the_first_target_that_answers_is_the_only_one_asked() {
    let page = Page::answering(Answer::new(500, "Internal Server Error").body("first\n"));
    let response = standard().fetch(&get(&page.path).host("first-answers.test"));
    assert_eq!((response.code, response.text()), (500, "first\n"));
    assert_eq!(page.request().headers.get("Host"), Some("first.test"));
    assert!(page.request_so_far().is_none(), "the second target was asked");
}

#[test]
fn the_built_in_target_greets() {
    let response = standard().fetch(&get("/").host("builtin.test"));
    assert_eq!((response.code, response.text()), (200, "Hello from the Pushpin test handler!\n"));
    assert_eq!(response.headers.get("Content-Type"), Some("text/plain"));
}

#[test]
fn the_built_in_target_greets_below_a_path_beginning() {
    let response = standard().fetch(&get("/below/").host("builtin-below.test"));
    assert_eq!((response.code, response.text()), (200, "Hello from the Pushpin test handler!\n"));
}

#[test]
fn the_built_in_target_holds_a_response() {
    let channel = unique("ch");
    let mut client = standard().ask(&get(format!("/response?channel={channel}")).host("builtin.test"));
    standard().publish_until_answered(
        &mut client,
        crate::harness::publisher::response_item(&channel, "published\n"),
    );
    assert_eq!(client.response().text(), "published\n");
}

#[test]
fn the_built_in_target_holds_a_stream() {
    let (one, two) = (unique("ch"), unique("ch"));
    let mut client =
        standard().ask(&get(format!("/stream?channel={one}&channel={two}")).host("builtin.test"));
    assert_eq!(client.head().code, 200);
    client.expect_body("[stream opened]\n");
    standard().publish_stream(&one, "by one\n");
    client.expect_body("by one\n");
    standard().publish_stream(&two, "by the other\n");
    client.expect_body("by the other\n");
}

#[test]
fn the_built_in_target_knows_nothing_else() {
    let response = standard().fetch(&get("/something-else").host("builtin.test"));
    assert_eq!((response.code, response.text()), (404, "no such test resource\n"));
}

#[test]
fn a_request_without_a_route_is_told_so() {
    pushpin_differs!("1.36 says \"No route for host: only.test\"; later versions do not name the host");
    let response = standard().fetch(&get("/elsewhere").host("only.test"));
    assert_eq!((response.code, response.reason.as_str()), (502, "Bad Gateway"));
    assert_eq!(response.text(), "Route not found\n");
    assert_eq!(response.headers.get("Content-Type"), Some("text/plain"));
}
