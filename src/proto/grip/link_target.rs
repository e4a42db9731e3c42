//! The absolute http or https URI of a link, resolved from the application's reference and the URI of the request
//! that it answered (RFC 3986 section 5.2). Fragments are dropped. A value of this type can be requested unchanged.

use serde::{Deserialize, Serialize};

/// An absolute URI.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LinkTarget {
    /// Whether the request uses TLS.
    pub https: bool,
    /// The host, and the port if the URI has one.
    pub authority: String,
    /// Path and query.
    pub path_and_query: String,
}

impl LinkTarget {
    /// Resolves `reference` against this URI; `None` if the result is not a valid http or https URI.
    pub fn resolve(&self, reference: &str) -> Option<LinkTarget> {
        let reference = reference.split('#').next().unwrap_or_default();
        if let Some((scheme, rest)) = split_scheme(reference) {
            let https = match scheme.to_ascii_lowercase().as_str() {
                "http" => false,
                "https" => true,
                _ => return None,
            };
            return LinkTarget::at(https, rest.strip_prefix("//")?);
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return LinkTarget::at(self.https, rest);
        }
        let (path, query) = split_query(reference);
        let (own_path, own_query) = split_query(&self.path_and_query);
        let path_and_query = match path {
            "" => format!("{own_path}{}", if query.is_empty() { own_query } else { query }),
            _ if path.starts_with('/') => format!("{}{query}", without_dots(path)),
            _ => {
                let folder = own_path.rfind('/').and_then(|end| own_path.get(..=end)).unwrap_or("/");
                format!("{}{query}", without_dots(&format!("{folder}{path}")))
            }
        };
        Some(LinkTarget { https: self.https, authority: self.authority.clone(), path_and_query })
    }

    /// Whether this URI and `other` have the same scheme, host and port.
    pub fn is_beside(&self, other: &LinkTarget) -> bool {
        self.https == other.https && self.host_and_port() == other.host_and_port()
    }

    /// The host in lower case, without the brackets of an IPv6 address, and the port.
    pub fn host_and_port(&self) -> (String, u16) {
        let default = if self.https { 443 } else { 80 };
        let (host, port) = match self.authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => match self.authority.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (self.authority.as_str(), None),
            },
        };
        (host.to_ascii_lowercase(), port.and_then(|port| port.parse().ok()).unwrap_or(default))
    }

    fn at(https: bool, rest: &str) -> Option<LinkTarget> {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end)?;
        // Credentials in a URI must not be sent (RFC 9110 section 4.2.4).
        let authority = authority.rsplit('@').next().filter(|authority| !authority.is_empty())?;
        let (path, query) = split_query(rest);
        let path_and_query = format!("{}{query}", without_dots(if path.is_empty() { "/" } else { path }));
        Some(LinkTarget { https, authority: authority.to_owned(), path_and_query })
    }
}

/// The scheme and the text after its colon, if there is a scheme (RFC 3986 section 3.1).
fn split_scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let is_scheme =
        scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.bytes().all(letters);
    is_scheme.then_some((scheme, rest))
}

/// The path, and the query with its question mark.
fn split_query(target: &str) -> (&str, &str) {
    target.find('?').and_then(|at| target.split_at_checked(at)).unwrap_or((target, ""))
}

/// Removes dot segments (RFC 3986 section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." if is_last => kept.push(""),
            "." => {}
            ".." => {
                kept.pop();
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(reference: &str) -> Option<String> {
        let (authority, path_and_query) = ("a:81".to_owned(), "/b/c/d;p?q".to_owned());
        let base = LinkTarget { https: false, authority, path_and_query };
        let LinkTarget { https, authority, path_and_query } = base.resolve(reference)?;
        Some(format!("{}://{authority}{path_and_query}", if https { "https" } else { "http" }))
    }

    /// RFC 3986 section 5.4, and the differences for http.
    #[test]
    fn references_are_resolved_as_browsers_do() {
        let table = [
            ("g", "http://a:81/b/c/g"),
            ("./g", "http://a:81/b/c/g"),
            ("g/", "http://a:81/b/c/g/"),
            ("/g", "http://a:81/g"),
            ("//g", "http://g/"),
            ("?y", "http://a:81/b/c/d;p?y"),
            ("g?y#s", "http://a:81/b/c/g?y"),
            ("", "http://a:81/b/c/d;p?q"),
            (".", "http://a:81/b/c/"),
            ("..", "http://a:81/b/"),
            ("../../../g", "http://a:81/g"),
            ("g?y/./x", "http://a:81/b/c/g?y/./x"),
            ("HTTPS://u:p@X.test?z", "https://X.test/?z"),
            ("/x?at=12:30", "http://a:81/x?at=12:30"),
        ];
        for (reference, expected) in table {
            assert_eq!(resolved(reference).as_deref(), Some(expected), "{reference}");
        }
        for nowhere in ["ftp://a/", "mailto:x", "http:g", "http://", "http://u@/"] {
            assert_eq!(resolved(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn ports_may_be_left_out() {
        let target = |https, authority: &str| LinkTarget {
            https,
            authority: authority.into(),
            path_and_query: "/".into(),
        };
        assert!(target(false, "a").is_beside(&target(false, "A:80")));
        assert!(
            !target(false, "a").is_beside(&target(true, "a"))
                && !target(true, "a").is_beside(&target(true, "b"))
        );
        assert_eq!(target(true, "[::1]:8").host_and_port(), ("::1".into(), 8));
        assert_eq!(target(true, "[::1]").host_and_port(), ("::1".into(), 443));
    }
}
