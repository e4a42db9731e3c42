//! Posts to the control port, as publishing applications do.
//!
//! A held long poll shows nothing on the wire, so nothing tells a case when to publish: `publish_until_answered`
//! repeats the message until the client has its answer. One message ends a hold, so the repeats reach nobody. A held
//! stream shows its head and its first content, and both servers have subscribed it by then: there one message is
//! published once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Client, Response};
use super::proxy::Proxy;
use super::request::{Request, request};
use super::{against_pushpin, patience};

impl Proxy {
    /// Publishes one item, or a list of items in one call, and asserts that they were taken.
    pub fn publish(&self, items: Value) {
        let items = if items.is_array() { items } else { json!([items]) };
        let response = self.post_publish(&json!({"items": items}).to_string());
        assert_eq!((response.code, response.text()), (200, "Published\n"));
    }

    /// Publishes one item to subscribers of a stream.
    pub fn publish_stream(&self, channel: &str, content: &str) {
        self.publish(stream_item(channel, content));
    }

    /// Publishes an item, or a list of them, until `client`, whose request is held or about to be, has an answer
    /// coming.
    pub fn publish_until_answered(&self, client: &mut Client, items: Value) {
        let deadline = Instant::now() + patience();
        while Instant::now() < deadline {
            self.publish(items.clone());
            if client.answered_within(Duration::from_millis(50)) {
                return;
            }
        }
        panic!("published again and again, and still no answer");
    }

    /// Publishes to a stream whose beginning has come, and awaits the message. Pushpin subscribes a stream with a large
    /// beginning only after relaying that, at a time nobody can see, so there the message is repeated.
    pub fn publish_until_streamed(&self, client: &mut Client, channel: &str, content: &str) {
        match against_pushpin() {
            true => self.publish_again_until_streamed(client, channel, content),
            false => {
                self.publish_stream(channel, content);
                client.expect_body(content);
            }
        }
    }

    /// The same where no server shows when a subscription comes into force.
    pub fn publish_again_until_streamed(&self, client: &mut Client, channel: &str, content: &str) {
        let deadline = Instant::now() + patience();
        self.publish_stream(channel, content);
        while !client.answered_within(Duration::from_millis(50)) {
            assert!(Instant::now() < deadline, "published again and again, and still nothing in the stream");
            self.publish_stream(channel, content);
        }
        client.expect_body(content);
    }

    /// Posts `body` to `/publish/`.
    pub fn post_publish(&self, body: &str) -> Response {
        self.control(&request("POST", "/publish/").header("Content-Type", "application/json").body(body))
    }

    /// The control port's answer to `request`, which is for this machine.
    pub fn control(&self, request: &Request) -> Response {
        self.control_for("localhost", request)
    }

    /// The same to a request for `host`.
    pub fn control_for(&self, host: &str, request: &Request) -> Response {
        self.connect_control().send(request.clone().host(host).bytes()).response()
    }

    /// A connection to the control port.
    pub fn connect_control(&self) -> Client {
        Client::connect(self.control)
    }
}

/// An item that appends `content` to the streams of `channel`.
pub fn stream_item(channel: &str, content: &str) -> Value {
    json!({"channel": channel, "formats": {"http-stream": {"content": content}}})
}

/// An item that answers the long polls of `channel` with `body`.
pub fn response_item(channel: &str, body: &str) -> Value {
    json!({"channel": channel, "formats": {"http-response": {"body": body}}})
}
