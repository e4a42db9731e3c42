//! Spells out requests: the bytes a well-behaved client would send.
//!
//! Cases about ill-behaved clients write their bytes themselves. The host is one that only the `*` route covers,
//! unless the case names another.

/// A request being put together.
#[derive(Clone)]
pub struct Request {
    method: String,
    target: String,
    version: &'static str,
    host: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// A GET of `target`.
pub fn get(target: impl Into<String>) -> Request {
    request("GET", target)
}

/// A request for `target`.
pub fn request(method: &str, target: impl Into<String>) -> Request {
    Request {
        method: method.to_owned(),
        target: target.into(),
        version: "HTTP/1.1",
        host: "any.test".to_owned(),
        headers: Vec::new(),
        body: None,
    }
}

impl Request {
    /// The same with the older version.
    pub fn http_1_0(mut self) -> Request {
        self.version = "HTTP/1.0";
        self
    }

    /// The same to another host.
    pub fn host(mut self, host: &str) -> Request {
        self.host = host.to_owned();
        self
    }

    /// The same with one more field.
    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A body with its Content-Length.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = Some(body.into());
        self
    }

    /// The request as it is sent.
    pub fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} {}\r\nHost: {}\r\n", self.method, self.target, self.version, self.host);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = &self.body {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        let mut bytes = (head + "\r\n").into_bytes();
        bytes.extend(self.body.iter().flatten());
        bytes
    }
}
