//! Posts to the control port, as publishing applications do.

use super::Server;
use crate::client::{Client, Response};
use crate::request::request;
use crate::socket;
use serde_json::{Value, json};

impl Server {
    /// Publishes `content` to the streams of `channel`.
    pub fn publish(&self, channel: &str, content: &str) {
        self.publish_format(channel, "http-stream", json!({ "content": content }));
    }

    /// Ends the streams of `channel`.
    pub fn close_streams(&self, channel: &str) {
        self.publish_format(channel, "http-stream", json!({ "action": "close" }));
    }

    /// Publishes for one transport.
    pub fn publish_format(&self, channel: &str, format: &str, content: Value) {
        self.publish_items(&json!([{"channel": channel, "formats": {format: content}}]));
    }

    /// Publishes a list of items in one call, which must be taken.
    pub fn publish_items(&self, items: &Value) {
        let response = self.try_publish(&json!({ "items": items }));
        assert_eq!((response.code, response.text()), (200, "Published\n"));
    }

    /// The answer to a publish call.
    pub fn try_publish(&self, call: &Value) -> Response {
        let bytes = self.publish_request(&call.to_string());
        Client::over(socket::connect(self.control)).send(bytes).response()
    }

    /// A publish call as bytes for a connection to the control port, which stays open.
    pub fn publish_request(&self, call: &str) -> Vec<u8> {
        let request = request("POST", "/publish/").host("localhost");
        request.header("Authorization", &format!("Bearer {}", self.token)).body(call).bytes()
    }
}
