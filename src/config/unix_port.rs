//! Unix sockets for clients as operators write them: `path?mode=660&user=NAME&group=NAME`. The question mark and
//! everything after it are optional. Both config readers call [`UnixPort::parse`].

use std::path::{Path, PathBuf};

use super::accounts::{file_mode, group_id, user_id};

/// A Unix socket on which clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixPort {
    /// The path of the socket.
    pub path: PathBuf,
    /// The file mode; `None` leaves it to the umask.
    pub mode: Option<u32>,
    /// The owner's id; `None` means the server's user.
    pub user: Option<u32>,
    /// The group's id; `None` means the server's group.
    pub group: Option<u32>,
}

/// Text that is not a Unix socket for clients.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAUnixPort {
    /// The path is missing.
    #[error("the path of the Unix socket is missing")]
    NoPath,
    /// Not a file mode.
    #[error("`{0}` is not a file mode in octal, such as 660")]
    Mode(String),
    /// The system knows no such user or group.
    #[error("no {0} is called `{1}`")]
    Nobody(&'static str, String),
    /// An option that is not a mode, a user or a group.
    #[error("unknown option `{0}`: write mode=, user= or group=")]
    Unknown(String),
}

impl UnixPort {
    /// Reads `text`. A relative path is resolved against `directory`.
    ///
    /// # Errors
    /// Which part of the text is wrong.
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

/// Reads the id of a user or group, given as a number or as a name.
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
