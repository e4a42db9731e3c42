//! What applications answer.

use serde_json::Value;

/// An answer of an application, framed by Content-Length.
#[derive(Clone)]
pub struct Answer {
    code: u16,
    reason: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What happens to the application's connection after an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It waits for the next request.
    KeepOpen,
    /// It is let go; whoever has kept a handle still has it.
    Close,
}

impl Answer {
    /// One without headers and body.
    pub fn new(code: u16, reason: &str) -> Answer {
        Answer { code, reason: reason.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    /// A 200 with a body of plain text.
    pub fn text(body: &str) -> Answer {
        Answer::new(200, "OK").header("Content-Type", "text/plain").body(body)
    }

    /// A 200 that holds a stream on `channel` and begins it with `body`.
    pub fn stream(channel: &str, body: &str) -> Answer {
        Answer::text(body).header("Grip-Hold", "stream").header("Grip-Channel", channel)
    }

    /// A 200 that holds a long poll on `channel`, and is what it gets after `seconds`.
    pub fn poll(channel: &str, seconds: u32, body: &str) -> Answer {
        let hold = Answer::text(body).header("Grip-Hold", "response").header("Grip-Channel", channel);
        hold.header("Grip-Timeout", &seconds.to_string())
    }

    /// A 200 with instructions as JSON.
    pub fn instruct(instruct: &Value) -> Answer {
        Answer::new(200, "OK").header("Content-Type", "application/grip-instruct").body(instruct.to_string())
    }

    /// A 200 with events of a WebSocket, that speaks GRIP.
    pub fn events(events: impl Into<Vec<u8>>) -> Answer {
        Answer::new(200, "OK")
            .header("Content-Type", "application/websocket-events")
            .header("Sec-WebSocket-Extensions", "grip")
            .body(events)
    }

    /// The same with one more header.
    pub fn header(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with this body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Answer {
        self.body = body.into();
        self
    }

    /// The bytes of the answer to a request with this method.
    pub fn bytes_for(&self, method: &str) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.code, self.reason);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let bodiless = self.code / 100 == 1 || self.code == 204 || self.code == 304;
        if !bodiless {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        let mut bytes = (head + "\r\n").into_bytes();
        if !bodiless && method != "HEAD" {
            bytes.extend(&self.body);
        }
        bytes
    }
}

/// A TEXT event of a WebSocket over HTTP.
pub fn text_event(text: &str) -> String {
    format!("TEXT {:X}\r\n{text}\r\n", text.len())
}

/// A TEXT event with a control message.
pub fn control_event(control: Value) -> String {
    text_event(&format!("c:{control}"))
}
