//! Request targets that are not quite URIs, and what of them the application gets.

use crate::harness::origin::{Answer, Page};
use crate::harness::proxy::standard;
use crate::harness::pushpin_differs;

/// The target that the application gets for these bytes behind a page's path.
fn received(more: &[u8]) -> String {
    let page = Page::answering(Answer::text("x"));
    let request = [b"GET ", page.path.as_bytes(), more, b" HTTP/1.1\r\nHost: any.test\r\n\r\n"].concat();
    assert_eq!(standard().connect().send(request).response().code, 200);
    page.request().target.strip_prefix(&page.path).expect("the path itself").to_owned()
}

#[test]
fn text_in_utf_8_is_percent_encoded() {
    pushpin_differs!("1.36 closes the connection on bytes beyond ASCII in a target");
    assert_eq!(received("/\u{e9}?q=\u{20ac}".as_bytes()), "/%C3%A9?q=%E2%82%AC");
}

#[test]
fn text_in_latin_1_is_percent_encoded() {
    pushpin_differs!("1.36 closes the connection on bytes beyond ASCII in a target");
    assert_eq!(received(b"/\xe9?q=\xff"), "/%E9?q=%FF");
}

#[test]
fn what_is_percent_encoded_stays_as_it_is() {
    pushpin_differs!("1.36 closes the connection on bytes beyond ASCII in a target");
    assert_eq!(received("/%c3%A9\u{e9}%2F".as_bytes()), "/%c3%A9%C3%A9%2F");
}

#[test]
fn an_absolute_target_without_a_path_means_the_root() {
    pushpin_differs!("1.36 mangles absolute targets");
    let mut client = standard().connect();
    client.send("GET http://builtin.test?q HTTP/1.1\r\nHost: builtin.test\r\n\r\n");
    let response = client.response();
    assert_eq!((response.code, response.text()), (200, "Hello from the Pushpin test handler!\n"));
}
