//! Files that exist in memory only, to pass more data to another process than fits into a message: its descriptor is
//! passed.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{FromRawFd, OwnedFd};

/// Makes a file with `bytes` in memory (memfd_create(2)). Its position is its beginning.
///
/// # Errors
/// The system's error, if there is no descriptor or no memory left.
pub fn memory_file(bytes: &[u8]) -> io::Result<OwnedFd> {
    // SAFETY: the name is a string that ends with zero; the result is checked before use.
    let descriptor = unsafe { libc::memfd_create(c"gripwire".as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nothing else owns.
    let mut file = unsafe { File::from_raw_fd(descriptor) };
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_file_in_memory_has_its_bytes_for_whoever_has_its_descriptor() {
        let bytes: Vec<u8> = (0..100_000u32).map(|number| number as u8).collect();
        let file = memory_file(&bytes).unwrap();
        let mut read = Vec::new();
        File::from(file.try_clone().unwrap()).read_to_end(&mut read).unwrap();
        assert!(read == bytes);
    }
}
