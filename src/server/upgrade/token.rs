//! The token that decides an upgrade. The old process makes it and hands it to the new process. Whoever takes it decides:
//! the new process that it serves from now on, the old process that the upgrade is given up. The kernel hands it out once
//! only, so both never decide differently, whatever happens to their messages.

use nix::sys::eventfd::{EfdFlags, eventfd};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The token, or its empty place.
pub(super) struct Token(File);

impl Token {
    /// A token that nobody has taken.
    ///
    /// # Errors
    /// The system's error, if there is no descriptor left.
    pub fn new() -> io::Result<Token> {
        let flags = EfdFlags::EFD_SEMAPHORE | EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        Ok(Token::from(eventfd(1, flags)?))
    }

    /// Takes the token. Returns whether it was still there.
    pub fn take(&self) -> bool {
        loop {
            match (&self.0).read(&mut [0; size_of::<u64>()]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Reading fails only when the token is not there.
                taken => return taken.is_ok(),
            }
        }
    }
}

impl From<OwnedFd> for Token {
    fn from(descriptor: OwnedFd) -> Token {
        Token(descriptor.into())
    }
}

impl AsFd for Token {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_that_take_the_token_one_gets_it() {
        let token = Token::new().unwrap();
        let takers: Vec<Token> =
            (0..8).map(|_| Token::from(token.as_fd().try_clone_to_owned().unwrap())).collect();
        let taken = std::thread::scope(|scope| {
            let taking: Vec<_> = takers.iter().map(|taker| scope.spawn(|| taker.take())).collect();
            taking.into_iter().map(|taking| taking.join().unwrap()).filter(|taken| *taken).count()
        });
        assert_eq!(taken, 1);
        assert!(!token.take());
    }
}
