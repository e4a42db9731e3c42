//! Unix sockets with a name in the file system. The file exists from bind to exit. A file of a socket that is not
//! bound any more is replaced, a socket in use is not, and a file that is no socket is never touched. The mode of the
//! file decides who may connect; [`Credentials`] tell who did.

use super::listener::BindError;
use nix::sys::socket::{getsockopt, sockopt};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Connections that wait to be accepted.
pub(super) const QUEUE: i32 = 1024;

/// The user and group of the process at the other end, as the kernel reports them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// The user id.
    pub user: u32,
    /// The id of the user's main group.
    pub group: u32,
}

impl Credentials {
    /// The credentials of the process that connected to `socket` (SO_PEERCRED).
    pub(super) fn of_peer(socket: &impl AsFd) -> io::Result<Credentials> {
        let peer = getsockopt(socket, sockopt::PeerCredentials).map_err(io::Error::from)?;
        Ok(Credentials { user: peer.uid(), group: peer.gid() })
    }
}

/// The file of a bound socket. Dropping this removes the file, unless another file has taken its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    /// The file is removed with this value.
    is_armed: bool,
}

impl SocketFile {
    /// The file of a socket that is already bound.
    ///
    /// # Errors
    /// The system's error, if there is no file at `path`.
    pub fn of_bound(path: &Path) -> io::Result<SocketFile> {
        Ok(SocketFile { path: path.to_owned(), identity: identity(path)?, is_armed: true })
    }

    /// The file of a socket that another process has bound. It stays until [`arm`](SocketFile::arm).
    ///
    /// # Errors
    /// The system's error, if there is no file at `path`.
    pub fn of_other(path: &Path) -> io::Result<SocketFile> {
        Ok(SocketFile { path: path.to_owned(), identity: identity(path)?, is_armed: false })
    }

    /// From now on the socket belongs to this process, and the file is removed with this value.
    pub fn arm(&mut self) {
        self.is_armed = true;
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the file where it is: the socket belongs to another process now.
    pub fn disarm(mut self) {
        self.is_armed = false;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_armed && identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The owner and the mode of a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Access {
    /// The file's mode; `None` leaves it to the umask.
    pub mode: Option<u32>,
    /// The file's user, if it is not the server's.
    pub user: Option<u32>,
    /// The file's group, if it is not the server's.
    pub group: Option<u32>,
}

impl From<u32> for Access {
    fn from(mode: u32) -> Access {
        Access { mode: Some(mode), ..Access::default() }
    }
}

/// Listens on the Unix socket `path`; `access` decides who may connect.
///
/// # Errors
/// If the socket cannot be bound; the text says what to change.
pub fn bind_unix(path: &Path, access: impl Into<Access>) -> Result<(UnixListener, SocketFile), BindError> {
    let (socket, file) = bind_file(path, Type::STREAM, access.into())?;
    let listening = socket.set_nonblocking(true).and_then(|()| socket.listen(QUEUE));
    listening.map_err(|source| BindError::file(path, source))?;
    Ok((OwnedFd::from(socket).into(), file))
}

/// Binds a socket of this kind to the file `path`.
pub(super) fn bind_file(path: &Path, kind: Type, access: Access) -> Result<(Socket, SocketFile), BindError> {
    let bound = || {
        let address = SockAddr::unix(path)?;
        remove_stale(path, kind, &address)?;
        let mut socket = Socket::new(Domain::UNIX, kind, None)?;
        if let Some(mode) = access.mode {
            // A socket passes its mode, less the umask, to the file, so no client can connect before the mode is set.
            socket = with_mode(socket, mode)?;
        }
        socket.bind(&address)?;
        let file = SocketFile::of_bound(path)?;
        if access.user.is_some() || access.group.is_some() {
            std::os::unix::fs::chown(path, access.user, access.group)?;
        }
        if let Some(mode) = access.mode {
            fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        Ok((socket, file))
    };
    bound().map_err(|source| BindError::file(path, source))
}

fn with_mode(socket: Socket, mode: u32) -> io::Result<Socket> {
    let file = File::from(OwnedFd::from(socket));
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok(Socket::from(OwnedFd::from(file)))
}

/// Removes the file of a socket that is not bound any more.
fn remove_stale(path: &Path, kind: Type, address: &SockAddr) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    match Socket::new(Domain::UNIX, kind, None)?.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // If anything answers, even a socket of another kind, the socket is in use.
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("gripwire-socket-file-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_file_has_its_mode_and_goes_with_its_socket() {
        let path = path("mode");
        let (listener, file) = bind_unix(&path, 0o662).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o662);
        let client = UnixStream::connect(&path).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let own = nix::unistd::geteuid().as_raw();
        assert_eq!(Credentials::of_peer(&accepted).unwrap().user, own);
        drop((client, listener, file));
        assert!(!path.exists());
    }

    #[test]
    fn a_file_stays_when_another_process_has_the_socket() {
        let path = path("disarmed");
        let (listener, file) = bind_unix(&path, 0o600).unwrap();
        file.disarm();
        UnixStream::connect(&path).unwrap();
        // The other process owns the file, first for a try.
        drop(SocketFile::of_other(&path).unwrap());
        let mut file = SocketFile::of_other(&path).unwrap();
        file.arm();
        drop((listener, file));
        assert!(!path.exists());
    }

    #[test]
    fn a_file_may_be_given_away() {
        let path = path("access");
        let (user, group) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        let access = Access { mode: Some(0o604), user: Some(user), group: Some(group) };
        let bound = bind_unix(&path, access).unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.permissions().mode() & 0o777, found.uid(), found.gid()), (0o604, user, group));
        drop(bound);
        bind_unix(&path, Access::default()).unwrap();
    }

    #[test]
    fn a_file_left_behind_is_replaced_and_one_in_use_is_not() {
        let path = path("stale");
        let (listener, file) = bind_unix(&path, 0o600).unwrap();
        for kind in [Type::STREAM, Type::DGRAM] {
            let error = bind_file(&path, kind, 0o600.into()).unwrap_err().to_string();
            assert!(error.contains("another server"), "{error}");
        }
        // As after the end of a process that could not remove its file.
        let aside = path.with_extension("aside");
        fs::rename(&path, &aside).unwrap();
        drop((listener, file));
        fs::rename(&aside, &path).unwrap();
        assert!(path.exists());
        let (_listener, file) = bind_unix(&path, 0o600).unwrap();
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_socket_stays() {
        let path = path("file");
        fs::write(&path, "mine").unwrap();
        let error = bind_unix(&path, 0o600).unwrap_err().to_string();
        assert!(error.contains("is no socket"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        fs::remove_file(&path).unwrap();
    }
}
