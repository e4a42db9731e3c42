//! Plain proxying: a request that no instruction holds goes to the origin as it is, and the answer comes back as it
//! is. Methods, targets, status codes and headers.

use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::standard;
use crate::harness::pushpin_differs;
use crate::harness::request::{get, request};

#[test]
fn a_get_reaches_the_origin_and_its_answer_the_client() {
    let page = Page::answering(Answer::text("hello\n").header("X-From-Origin", "yes"));
    let response = standard().fetch(&get(&page.path));
    assert_eq!((response.code, response.reason.as_str(), response.text()), (200, "OK", "hello\n"));
    assert_eq!(response.version, "HTTP/1.1");
    assert_eq!(response.headers.get("Content-Type"), Some("text/plain"));
    assert_eq!(response.headers.get("Content-Length"), Some("6"));
    assert_eq!(response.headers.get("X-From-Origin"), Some("yes"));
    let received = page.request();
    assert_eq!((received.method.as_str(), &received.target), ("GET", &page.path));
    assert_eq!(received.version, "HTTP/1.1");
    assert_eq!(received.body, b"");
}

#[test]
fn a_post_reaches_the_origin_with_its_body() {
    reaches_the_origin_with_its_body("POST");
}

#[test]
fn a_put_reaches_the_origin_with_its_body() {
    reaches_the_origin_with_its_body("PUT");
}

#[test]
fn a_patch_reaches_the_origin_with_its_body() {
    reaches_the_origin_with_its_body("PATCH");
}

#[test]
fn a_delete_reaches_the_origin_with_its_body() {
    reaches_the_origin_with_its_body("DELETE");
}

fn reaches_the_origin_with_its_body(method: &str) {
    let page = Page::answering(Answer::text("done\n"));
    let asked = request(method, &page.path).header("Content-Type", "application/x-thing").body("a=1&b=2");
    assert_eq!(standard().fetch(&asked).text(), "done\n");
    let received = page.request();
    assert_eq!(received.method, method);
    assert_eq!(received.body, b"a=1&b=2");
    assert_eq!(received.headers.get("Content-Type"), Some("application/x-thing"));
    assert_eq!(received.headers.get("Content-Length"), Some("7"));
}

#[test]
fn a_delete_without_a_body_reaches_the_origin() {
    let page = Page::answering(Answer::text("gone\n"));
    assert_eq!(standard().fetch(&request("DELETE", &page.path)).text(), "gone\n");
    let received = page.request();
    assert_eq!((received.method.as_str(), received.body.as_slice()), ("DELETE", &b""[..]));
}

#[test]
fn an_options_request_is_the_origins_to_answer() {
    let page = Page::answering(Answer::new(200, "OK").header("Allow", "GET, OPTIONS"));
    let response =
        standard().fetch(&request("OPTIONS", &page.path).header("Origin", "http://elsewhere.test"));
    assert_eq!(response.headers.get("Allow"), Some("GET, OPTIONS"));
    assert!(
        !response.headers.has("Access-Control-Allow-Origin"),
        "nothing is added without auto_cross_origin"
    );
    assert_eq!(page.request().headers.get("Origin"), Some("http://elsewhere.test"));
}

#[test]
fn a_method_of_the_applications_own_reaches_the_origin() {
    let page = Page::answering(Answer::text("found\n"));
    assert_eq!(standard().fetch(&request("PROPFIND", &page.path)).text(), "found\n");
    assert_eq!(page.request().method, "PROPFIND");
}

#[test]
fn trace_reaches_no_application() {
    pushpin_differs!("it passes it on, and the application shows scripts what they may not read");
    let page = Page::answering(Answer::text("seen\n"));
    let response = standard().fetch(&request("TRACE", &page.path));
    assert_eq!(response.code, 405);
    assert!(response.headers.lists("Allow", "GET"), "{:?}", response.headers);
    assert!(page.request_so_far().is_none(), "the application was asked");
    assert_eq!(standard().control(&request("TRACE", "/")).code, 405);
}

#[test]
fn a_head_is_answered_with_a_length_and_without_a_body() {
    let page = Page::answering(Answer::text("twelve bytes"));
    let mut client = standard().connect();
    let response = client.send(request("HEAD", &page.path).bytes()).response();
    assert_eq!((response.code, response.headers.get("Content-Length")), (200, Some("12")));
    assert_eq!(page.request().method, "HEAD");
    let next = client.send(get(&page.path).bytes()).response();
    assert_eq!(next.text(), "twelve bytes", "the connection is still in step");
}

#[test]
fn a_204_has_no_body_and_the_connection_stays_in_step() {
    let page = Page::answering(Answer::new(204, "No Content").header("X-Empty", "yes"));
    let mut client = standard().connect();
    for _ in 0..2 {
        let response = client.send(get(&page.path).bytes()).response();
        assert_eq!((response.code, response.reason.as_str()), (204, "No Content"));
        assert_eq!(response.headers.get("X-Empty"), Some("yes"));
        assert!(!response.headers.has("Transfer-Encoding"), "RFC 9112 section 6.1");
    }
}

#[test]
fn a_304_has_no_body_and_keeps_its_etag() {
    let page = Page::answering(Answer::new(304, "Not Modified").header("ETag", "\"v1\""));
    let mut client = standard().connect();
    for _ in 0..2 {
        let response = client.send(get(&page.path).header("If-None-Match", "\"v1\"").bytes()).response();
        assert_eq!((response.code, response.headers.get("ETag")), (304, Some("\"v1\"")));
    }
    assert_eq!(page.request().headers.get("If-None-Match"), Some("\"v1\""));
}

#[test]
fn an_empty_200_is_empty() {
    let page = Page::answering(Answer::new(200, "OK"));
    let response = standard().fetch(&get(&page.path));
    assert_eq!((response.code, response.text()), (200, ""));
    assert_eq!(response.headers.get("Content-Length"), Some("0"));
}

#[test]
fn error_codes_of_the_origin_are_passed_through() {
    for (code, reason) in
        [(400, "Bad Request"), (401, "Unauthorized"), (404, "Not Found"), (503, "Unavailable")]
    {
        let page = Page::answering(Answer::new(code, reason).body("why\n"));
        let response = standard().fetch(&get(&page.path));
        assert_eq!((response.code, response.reason.as_str(), response.text()), (code, reason, "why\n"));
    }
}

#[test]
fn a_reason_phrase_of_the_origins_own_is_passed_through() {
    let page = Page::answering(Answer::new(299, "As You Like It").body("ok\n"));
    let response = standard().fetch(&get(&page.path));
    assert_eq!((response.code, response.reason.as_str()), (299, "As You Like It"));
}

#[test]
fn an_unknown_status_code_is_passed_through() {
    let page = Page::answering(Answer::new(599, "Odd").body("odd\n"));
    let response = standard().fetch(&get(&page.path));
    assert_eq!((response.code, response.reason.as_str(), response.text()), (599, "Odd", "odd\n"));
}

#[test]
fn a_redirect_is_the_clients_to_follow() {
    let page =
        Page::answering(Answer::new(302, "Found").header("Location", "http://elsewhere.test/there?x=1"));
    let response = standard().fetch(&get(&page.path));
    assert_eq!(
        (response.code, response.headers.get("Location")),
        (302, Some("http://elsewhere.test/there?x=1"))
    );
    page.request();
    assert!(page.request_so_far().is_none(), "it was followed");
}

#[test]
fn the_query_reaches_the_origin_unchanged() {
    target_is_kept("?q=1&q=2&empty=&plus=a+b&pct=%26%3D%E2%82%AC&slash=/a/../b");
}

#[test]
fn percent_encodings_in_the_path_reach_the_origin_unchanged() {
    target_is_kept("/a%20b/%2F/%C3%A9/~user/(x);v=1,2@:!$'*");
}

#[test]
fn percent_encodings_keep_their_spelling() {
    pushpin_differs!("targets are normalised: %c3 becomes %C3, %6c becomes l");
    target_is_kept("/%c3%a9/%6c?q=%3d");
}

#[test]
fn an_empty_query_keeps_its_question_mark() {
    target_is_kept("/x?");
}

#[test]
fn dot_segments_reach_the_origin_unchanged() {
    target_is_kept("/a/./b/../c");
}

#[test]
fn empty_path_segments_reach_the_origin_unchanged() {
    target_is_kept("//double///slashes/");
}

fn target_is_kept(rest: &str) {
    let page = Page::answering(Answer::text("here\n"));
    let target = format!("{}{rest}", page.path);
    assert_eq!(standard().fetch(&get(&target)).text(), "here\n");
    assert_eq!(page.request().target, target);
}

#[test]
fn a_target_of_three_kilobytes_reaches_the_origin() {
    target_is_kept(&format!("?long={}", "x".repeat(3000)));
}

#[test]
fn a_repeated_response_header_stays_repeated() {
    let page = Page::answering(
        Answer::text("x").header("Set-Cookie", "a=1; Path=/").header("Set-Cookie", "b=2, with a comma"),
    );
    let response = standard().fetch(&get(&page.path));
    assert_eq!(response.headers.all("Set-Cookie"), ["a=1; Path=/", "b=2, with a comma"]);
}

#[test]
fn a_repeated_request_header_reaches_the_origin_with_every_value() {
    let page = Page::answering(Answer::text("x"));
    standard().fetch(
        &get(&page.path).header("X-Many", "one").header("X-Many", "two, three").header("X-Many", "four"),
    );
    assert_eq!(page.request().headers.all("X-Many"), ["one", "two, three", "four"]);
}

#[test]
fn hop_by_hop_headers_of_the_origin_do_not_reach_the_client() {
    let page = Page::answering(Answer::text("x").header("Keep-Alive", "timeout=3").header("X-Kept", "yes"));
    let response = standard().fetch(&get(&page.path));
    assert!(!response.headers.has("Keep-Alive"));
    assert_eq!(response.headers.get("X-Kept"), Some("yes"));
}

#[test]
fn an_origins_connection_close_does_not_close_the_clients_connection() {
    let page = Page::sending_raw("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc");
    let mut client = standard().connect();
    for _ in 0..2 {
        let response = client.send(get(&page.path).bytes()).response();
        assert_eq!(response.text(), "abc");
        assert!(!response.headers.lists("Connection", "close"));
    }
}

#[test]
fn no_via_and_no_server_header_is_added() {
    let page = Page::answering(Answer::text("x"));
    let response = standard().fetch(&get(&page.path));
    assert!(!response.headers.has("Via") && !response.headers.has("Server"), "{:?}", response.headers);
    assert!(!page.request().headers.has("Via"));
}

#[test]
fn a_target_in_absolute_form_is_served_as_its_host_and_path() {
    pushpin_differs!("an absolute-form target is sent on as //exact.test/path; RFC 9112 section 3.2.2");
    let page = Page::answering(Answer::text("absolute\n"));
    let response = standard().fetch(&get(format!("http://exact.test{}", page.path)).host("any.test"));
    assert_eq!(response.text(), "absolute\n");
    let received = page.request();
    assert_eq!(received.target, page.path);
    assert_eq!(
        received.headers.get("X-Route"),
        Some("exact"),
        "the target's host counts, not the Host header's"
    );
    assert_eq!(received.headers.get("Host"), Some("exact.test"));
}
