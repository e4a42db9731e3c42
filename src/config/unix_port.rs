//! Ports of clients that are files, as operators write them: `path?mode=660&user=NAME&group=NAME`, where everything from
//! the question mark on may be missing. Both config readers use it.

use std::path::{Path, PathBuf};

use super::accounts::{file_mode, group_id, user_id};

/// A file for clients to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixPort {
    /// The file.
    pub path: PathBuf,
    /// Its mode; `None` leaves it to the umask.
    pub mode: Option<u32>,
    /// Whose it is, if not the server's.
    pub user: Option<u32>,
    /// And the group.
    pub group: Option<u32>,
}

/// Text that is no such port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAUnixPort {
    /// There is no path.
    #[error("the path of a socket is missing")]
    NoPath,
    /// No mode of a file.
    #[error("`{0}` is not the mode of a file in octal, such as 660")]
    Mode(String),
    /// Nobody is called so.
    #[error("no {0} is called `{1}`")]
    Nobody(&'static str, String),
    /// Neither a mode, nor a user, nor a group.
    #[error("`{0}` is none of mode=, user= and group=")]
    Unknown(String),
}

impl UnixPort {
    /// Reads `text`; a relative path is one from `directory`.
    pub fn parse(text: &str, directory: &Path) -> Result<UnixPort, NotAUnixPort> {
        let (path, options) = text.split_once('?').unwrap_or((text, ""));
        if path.is_empty() {
            return Err(NotAUnixPort::NoPath);
        }
        let mut port = UnixPort { path: directory.join(path), mode: None, user: None, group: None };
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("mode", mode)) => {
                    let read = file_mode(mode).ok_or_else(|| NotAUnixPort::Mode(mode.to_owned()));
                    port.mode = Some(read?);
                }
                Some(("user", name)) => port.user = Some(id("user", name, user_id)?),
                Some(("group", name)) => port.group = Some(id("group", name, group_id)?),
                _ => return Err(NotAUnixPort::Unknown(option.to_owned())),
            }
        }
        Ok(port)
    }
}

/// An id, given as such or by a name.
fn id(kind: &'static str, name: &str, find: fn(&str) -> Option<u32>) -> Result<u32, NotAUnixPort> {
    let id = name.parse().ok().or_else(|| find(name));
    id.ok_or_else(|| NotAUnixPort::Nobody(kind, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<UnixPort, NotAUnixPort> {
        UnixPort::parse(text, Path::new("/run"))
    }

    #[test]
    fn a_path_may_say_whose_it_is() {
        let plain = UnixPort { path: "/run/a".into(), mode: None, user: None, group: None };
        assert_eq!(parse("a"), Ok(plain.clone()));
        assert_eq!(parse("a?"), Ok(plain.clone()));
        let owned = UnixPort { mode: Some(0o660), user: Some(0), group: Some(7), ..plain };
        assert_eq!(parse("/run/a?mode=660&user=root&group=7"), Ok(owned));
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (text, told) in [
            ("", "path"),
            ("?mode=660", "path"),
            ("a?mode=999", "`999`"),
            ("a?mode=1777", "`1777`"),
            ("a?user=no such user", "`no such user`"),
            ("a?group=no such group", "`no such group`"),
            ("a?mod=660", "`mod=660`"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
