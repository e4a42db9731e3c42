//! Reads a GRIP URL, which names a control port. Its query may have the issuer and the key for signing a token.
//! `destination` makes a [`ControlPort`] and passes it to `post`.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gripwire::proto::grip::signature::{Key, KeyError, Signer};
use http::Uri;
use percent_encoding::percent_decode_str;

/// A control port, and the credentials for it.
#[derive(Debug)]
pub struct ControlPort {
    /// Whether the connection uses TLS.
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The path of the publish endpoint.
    pub path: String,
    /// The Authorization header.
    pub authorization: Option<String>,
}

/// Credentials given by an option. They take precedence over those of the URL.
pub enum Credentials {
    /// `user:password`.
    Basic(String),
    /// A token.
    Bearer(String),
}

/// A URL to which publishing is impossible.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// A ZeroMQ socket, but the program was built without ZeroMQ.
    #[error(
        "cannot publish to {0}: this program was built without ZeroMQ; give the URL of the HTTP control port, such as \
         --spec http://localhost:5561"
    )]
    ZeroMq(String),
    /// Not a URL, or one with an unknown scheme.
    #[error(
        "cannot publish to `{0}`: write --spec (or GRIP_URL) as http://HOST:PORT, https://HOST/PATH, udp://HOST:PORT, \
         unix:///PATH, unixgram:///PATH, tcp://HOST:PORT or ipc:///PATH"
    )]
    NotAUrl(String),
    /// A relative path of a Unix socket.
    #[error("cannot publish to `{0}`: write the absolute path of the Unix socket, after three slashes")]
    NotAPath(String),
    /// Credentials that the server would not check.
    #[error("{0} takes no credentials: leave out --user and --bearer")]
    NoCredentials(String),
    /// A password in a URL, which may be logged.
    #[error("the URL contains a user or password: give it as --user USER:PASSWORD instead")]
    UserInUrl,
    /// A key without an issuer.
    #[error("the URL has a `key` but no `iss`: add iss=NAME to its query")]
    NoIssuer,
    /// A key that cannot be read.
    #[error("the `key` of the URL cannot be used: {0}")]
    Key(KeyError),
    /// Credentials that are not valid in a header.
    #[error("the credentials contain characters that cannot be sent: use visible ASCII")]
    Credentials,
}

impl ControlPort {
    /// Reads a GRIP URL. `now_s` is the Unix time at which a token is made.
    ///
    /// # Errors
    /// Why publishing to the URL is impossible.
    pub fn parse(spec: &str, credentials: Option<Credentials>, now_s: u64) -> Result<Self, SpecError> {
        if ["tcp://", "ipc://", "inproc://"].iter().any(|scheme| spec.starts_with(scheme)) {
            return Err(SpecError::ZeroMq(spec.to_owned()));
        }
        let not_a_url = || SpecError::NotAUrl(without_query(spec).to_owned());
        let url: Uri = spec.parse().map_err(|_| not_a_url())?;
        let tls = match url.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(not_a_url()),
        };
        let authority = url.authority().ok_or_else(not_a_url)?;
        if authority.as_str().contains('@') {
            return Err(SpecError::UserInUrl);
        }
        let authorization = match credentials {
            Some(Credentials::Basic(pair)) => Some(format!("Basic {}", STANDARD.encode(pair))),
            Some(Credentials::Bearer(token)) => Some(format!("Bearer {token}")),
            None => signed(url.query().unwrap_or_default(), now_s)?,
        };
        // A token with a line end could add headers to the request.
        if authorization
            .as_ref()
            .is_some_and(|header| !header.bytes().all(|byte| matches!(byte, b' '..=b'~')))
        {
            return Err(SpecError::Credentials);
        }
        Ok(ControlPort {
            tls,
            host: authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            path: format!("{}/publish/", url.path().trim_end_matches('/')),
            authorization,
        })
    }

    /// The same control port, for another call than publishing.
    pub fn for_call(mut self, call: &str) -> ControlPort {
        let base = self.path.strip_suffix("publish/").unwrap_or(&self.path);
        self.path = format!("{base}{call}/");
        self
    }

    /// Whether credentials would be sent over a network in the clear.
    pub fn shows_secrets(&self) -> bool {
        let local = self.host == "localhost" || self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        self.authorization.is_some() && !self.tls && !local
    }

    /// The Host header.
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for ControlPort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(out, "{scheme}://{}{}", self.authority(), self.path)
    }
}

/// The Authorization header signed with `iss` and `key` of a query.
fn signed(query: &str, now_s: u64) -> Result<Option<String>, SpecError> {
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(key, _)| *key == name)?;
        Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
    };
    let Some(key) = value("key") else { return Ok(None) };
    let issuer = value("iss").ok_or(SpecError::NoIssuer)?;
    let Some(key) = Key::parse(&key, Path::new("")).map_err(SpecError::Key)? else { return Ok(None) };
    let token = Signer::new(&issuer, &key).token(now_s);
    let token = token.to_str().map_err(|_| SpecError::Credentials)?;
    Ok(Some(format!("Bearer {token}")))
}

/// The URL for error messages. The query may contain a key, which messages must not show.
fn without_query(spec: &str) -> &str {
    spec.split('?').next().unwrap_or(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(spec: &str) -> ControlPort {
        ControlPort::parse(spec, None, 1_000_000).unwrap_or_else(|error| panic!("{spec}: {error}"))
    }

    #[test]
    fn urls_name_the_endpoint() {
        for (spec, url) in [
            ("http://localhost:5561", "http://localhost:5561/publish/"),
            ("https://edge.example/base/", "https://edge.example:443/base/publish/"),
            ("http://[::1]:5561/?iss=x", "http://[::1]:5561/publish/"),
            ("http://h", "http://h:80/publish/"),
        ] {
            assert_eq!(destination(spec).to_string(), url);
            assert_eq!(destination(spec).authorization, None);
            let other = url.replace("/publish/", "/upgrade/");
            assert_eq!(destination(spec).for_call("upgrade").to_string(), other);
        }
        assert_eq!(destination("http://[::1]:5561").host, "::1");
    }

    #[test]
    fn what_is_no_http_url_is_refused_without_showing_the_key() {
        let refused = |spec| ControlPort::parse(spec, None, 0).unwrap_err().to_string();
        assert!(refused("tcp://localhost:5560").contains("ZeroMQ"));
        assert!(refused("localhost:5561").contains("`localhost:5561`"));
        assert!(!refused("ftp://h/?iss=i&key=secret").contains("secret"));
        assert!(refused("http://u:p@h/").contains("--user"));
        assert!(refused("http://h/?key=k").contains("iss=NAME"));
        assert!(refused("http://h/?iss=i&key=base64:*").contains("base64"));
    }

    #[test]
    fn the_query_signs_a_token_that_expires_within_the_hour() {
        let header = destination("http://h/?iss=me&key=base64:c2VjcmV0Cg%3D%3D").authorization.unwrap();
        let claims = header.strip_prefix("Bearer ").unwrap().split('.').nth(1).unwrap().to_owned();
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims, serde_json::json!({ "iss": "me", "exp": 1_003_600 }));
    }

    #[test]
    fn options_go_before_the_url_and_cannot_add_headers() {
        let with = |credentials| ControlPort::parse("http://h/?iss=i&key=k", Some(credentials), 0);
        let header = |credentials| with(credentials).unwrap().authorization.unwrap();
        assert_eq!(header(Credentials::Basic("u:p".into())), "Basic dTpw");
        assert_eq!(header(Credentials::Bearer("t".into())), "Bearer t");
        assert!(with(Credentials::Bearer("t\r\nX: y".into())).is_err());
        assert!(with(Credentials::Bearer("t".into())).unwrap().shows_secrets());
        assert!(!destination("http://127.0.0.1/?iss=i&key=k").shows_secrets());
    }
}
