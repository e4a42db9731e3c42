//! The control port, to the byte: what a publisher gets for good and for bad posts.
//!
//! Pushpin closes the connection after every answer; Gripwire may keep it. No case but those at the end looks at that.

use serde_json::json;

use crate::harness::client::Response;
use crate::harness::proxy::standard;
use crate::harness::publisher::stream_item;
use crate::harness::request::{get, request};
use crate::harness::{pushpin_differs, unique};

fn assert_text(response: &Response, code: u16, reason: &str, body: &str) {
    assert_eq!((response.code, response.reason.as_str(), response.text()), (code, reason, body));
    assert_eq!(response.headers.get("Content-Type"), Some("text/plain"));
    assert_eq!(response.headers.get("Content-Length"), Some(body.len().to_string().as_str()));
}

fn publish_rejected(body: &str, why: &str) {
    assert_text(&standard().post_publish(body), 400, "Bad Request", &format!("{why}\n"));
}

#[test]
fn the_root_names_the_service() {
    assert_text(&standard().control(&get("/")), 200, "OK", "Pushpin API\n");
}

#[test]
fn a_publication_is_acknowledged_in_text() {
    let body = json!({"items": [stream_item("nobody", "x")]}).to_string();
    assert_text(&standard().control(&request("POST", "/publish").body(body)), 200, "OK", "Published\n");
}

#[test]
fn a_trailing_slash_makes_no_difference() {
    let body = json!({"items": [stream_item("nobody", "x")]}).to_string();
    assert_text(&standard().control(&request("POST", "/publish/").body(body)), 200, "OK", "Published\n");
}

#[test]
fn a_publisher_that_accepts_json_gets_json() {
    for accept in ["application/json", "application/*"] {
        let response = standard().control(&publication().header("Accept", accept));
        assert_eq!(
            (response.code, response.text()),
            (200, "{\"message\":\"Published\"}\n"),
            "Accept: {accept}"
        );
        assert_eq!(response.headers.get("Content-Type"), Some("application/json"));
    }
}

#[test]
fn a_publisher_that_accepts_text_gets_text() {
    for accept in ["text/plain", "text/*", "*/*", "text/html, */*; q=0.1"] {
        assert_text(&standard().control(&publication().header("Accept", accept)), 200, "OK", "Published\n");
    }
}

#[test]
fn a_publisher_that_accepts_neither_gets_406() {
    let response = standard().control(&publication().header("Accept", "image/png"));
    let why = "Not Acceptable. Supported formats are text/plain and application/json.\n";
    assert_text(&response, 406, "Not Acceptable", why);
}

fn publication() -> crate::harness::request::Request {
    request("POST", "/publish/")
        .host("localhost")
        .body(json!({"items": [stream_item("nobody", "x")]}).to_string())
}

#[test]
fn the_content_type_of_a_publication_does_not_matter() {
    let response =
        standard().control(&publication().header("Content-Type", "application/x-www-form-urlencoded"));
    assert_eq!(response.code, 200);
}

#[test]
fn a_publication_may_be_empty() {
    assert_text(&standard().post_publish(r#"{"items": []}"#), 200, "OK", "Published\n");
}

#[test]
fn a_publication_by_an_http_1_0_client_is_acknowledged() {
    let mut client = standard().connect_control();
    assert_eq!(client.send(publication().http_1_0().bytes()).response().text(), "Published\n");
    client.expect_closed();
}

#[test]
fn another_method_than_post_is_not_allowed() {
    for path in ["/publish", "/publish/"] {
        let response = standard().control(&get(path));
        assert_text(&response, 405, "Method Not Allowed", "Method not allowed: GET.\n");
        assert_eq!(response.headers.get("Allow"), Some("POST"));
    }
    let response = standard().control(&request("PUT", "/publish/").body("{}"));
    assert_text(&response, 405, "Method Not Allowed", "Method not allowed: PUT.\n");
}

#[test]
fn another_path_is_not_found() {
    for path in ["/publis", "/publish/x", "/publisher", "/x"] {
        assert_text(&standard().control(&get(path)), 404, "Not Found", "Not Found\n");
    }
    assert_text(&standard().control(&request("POST", "/other/").body("{}")), 404, "Not Found", "Not Found\n");
}

#[test]
fn probes_of_orchestrators_are_answered() {
    pushpin_differs!("it has no paths for probes");
    assert_text(&standard().control(&get("/healthz")), 200, "OK", "alive\n");
    assert_text(&standard().control(&get("/readyz")), 200, "OK", "ready\n");
}

#[test]
fn a_publication_without_a_length_is_required_to_have_one() {
    let mut client = standard().connect_control();
    let response = client.send("POST /publish/ HTTP/1.1\r\nHost: localhost\r\n\r\n").response();
    assert_text(&response, 411, "Length Required", "Request requires Content-Length.\n");
}

#[test]
fn a_chunked_publication_is_required_to_have_a_length() {
    let mut client = standard().connect_control();
    let head = "POST /publish/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let response = client.send(head).send("2\r\n{}\r\n0\r\n\r\n").response();
    assert_text(&response, 411, "Length Required", "Request requires Content-Length.\n");
}

#[test]
fn a_length_that_is_no_number_is_a_bad_one() {
    let mut client = standard().connect_control();
    let response =
        client.send("POST /publish/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n").response();
    assert_text(&response, 400, "Bad Request", "Bad Content-Length.\n");
}

#[test]
fn a_publication_beyond_a_million_bytes_is_too_large() {
    let mut client = standard().connect_control();
    let response = client
        .send("POST /publish/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000001\r\n\r\n")
        .response();
    assert_text(&response, 400, "Bad Request", "Request body too large.\n");
}

#[test]
fn a_publication_of_nearly_a_million_bytes_is_taken() {
    let content = "x".repeat(990_000);
    let body = json!({"items": [stream_item("nobody", &content)]}).to_string();
    assert_eq!(standard().post_publish(&body).text(), "Published\n");
}

#[test]
fn a_publication_with_too_large_a_head_is_told_so() {
    let mut client = standard().connect_control();
    let long = "v".repeat(100_000);
    let response = client
        .send(format!("POST /publish/ HTTP/1.1\r\nHost: localhost\r\nX-Long: {long}\r\n\r\n"))
        .response();
    assert_text(&response, 400, "Bad Request", "Request header too large.\n");
}

#[test]
fn what_is_no_request_is_told_so() {
    let response = standard().connect_control().send("nonsense\r\n\r\n").response();
    assert_text(&response, 400, "Bad Request", "Failed to parse request header.\n");
}

#[test]
fn an_authorization_is_ignored_where_none_is_set() {
    let response = standard().control(&publication().header("Authorization", "Bearer whatever"));
    assert_eq!(response.text(), "Published\n");
}

#[test]
fn a_recovery_is_acknowledged() {
    for path in ["/recover", "/recover/"] {
        assert_text(&standard().control(&request("POST", path).body("")), 200, "OK", "Updated\n");
    }
    let response =
        standard().control(&request("POST", "/recover").header("Accept", "application/json").body(""));
    assert_eq!(response.text(), "{\"message\":\"Updated\"}\n");
    assert_text(
        &standard().control(&get("/recover")),
        405,
        "Method Not Allowed",
        "Method not allowed: GET.\n",
    );
}

#[test]
fn an_announced_publication_is_told_to_continue() {
    let body = json!({"items": [stream_item("nobody", "x")]}).to_string();
    let mut client = standard().connect_control();
    let length = body.len();
    client.send(format!(
        "POST /publish/ HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
    ));
    assert_eq!(client.head().code, 100);
    assert_eq!(client.send(body).response().text(), "Published\n");
}

#[test]
fn a_body_that_is_no_json_is_rejected() {
    for body in ["", "x", "{\"items\": [", "{\"items\": []} x"] {
        publish_rejected(body, "Body is not valid JSON.");
    }
}

#[test]
fn json_that_is_no_object_is_rejected() {
    publish_rejected("[]", "Invalid format.");
}

#[test]
fn an_object_without_items_is_rejected() {
    publish_rejected("{}", "Invalid format: object does not contain 'items'");
    publish_rejected(r#"{"item": []}"#, "Invalid format: object does not contain 'items'");
}

#[test]
fn items_that_are_no_list_are_rejected() {
    for items in ["{}", "1", "\"x\""] {
        publish_rejected(
            &format!("{{\"items\": {items}}}"),
            "Invalid format: object contains 'items' with wrong type",
        );
    }
}

#[test]
fn errors_are_text_and_json_is_for_success() {
    let response =
        standard().control(&request("POST", "/publish/").header("Accept", "application/json").body("x"));
    assert_eq!((response.code, response.text()), (400, "Body is not valid JSON.\n"));
}

#[test]
fn a_control_connection_publishes_again_and_again() {
    pushpin_differs!("one request for each connection: every answer says Connection: close");
    let mut client = standard().connect_control();
    for _ in 0..3 {
        let response = client.send(publication().bytes()).response();
        assert_eq!(response.text(), "Published\n");
        assert!(!response.headers.lists("Connection", "close"));
    }
    assert_eq!(client.send(get("/").host("localhost").bytes()).response().text(), "Pushpin API\n");
    assert_eq!(
        client.send(request("POST", "/publish/").host("localhost").body("x").bytes()).response().code,
        400
    );
    assert_eq!(
        client.send(publication().bytes()).response().text(),
        "Published\n",
        "a bad body is no bad framing"
    );
}

#[test]
fn pipelined_publications_are_taken_in_order() {
    pushpin_differs!("one request for each connection: what is pipelined behind it is lost");
    let channel = unique("ch");
    let mut stream = standard().stream(&channel);
    let post = |number| {
        let item = stream_item(&channel, &format!("message {number}\n"));
        request("POST", "/publish/").host("localhost").body(json!({"items": [item]}).to_string()).bytes()
    };
    let mut publisher = standard().connect_control();
    publisher.send((0..300).flat_map(post).collect::<Vec<u8>>());
    for number in 0..300 {
        assert_eq!(publisher.response().text(), "Published\n");
        stream.expect_body(format!("message {number}\n"));
    }
}

#[test]
fn connection_close_is_obeyed_by_the_control_port() {
    let mut client = standard().connect_control();
    client.send(publication().header("Connection", "close").bytes());
    assert_eq!(client.response().text(), "Published\n");
    client.expect_closed();
}
