//! Wakes the core's executor when the wire's io_uring has completions: an eventfd that the ring signals and that a
//! task of the core waits for. Other threads ring it with a [`Ringer`]. A thread without an executor has a
//! [`ThreadBell`] of the same kind.

#[cfg(feature = "simulation")]
use super::simulated::Chime;
use crate::runtime::EventFile;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
#[cfg(feature = "simulation")]
use std::rc::Rc;
use std::sync::Arc;

/// The eventfd of one core's ring.
pub struct Doorbell {
    ear: Ear,
    ringer: Ringer,
}

enum Ear {
    File(EventFile),
    #[cfg(feature = "simulation")]
    Simulated(Rc<Chime>),
}

/// Rings a bell from any thread. Several rings before the waiting thread wakes count as one.
#[derive(Clone)]
pub struct Ringer(Arc<File>);

/// The bell of a thread that polls the bell's descriptor.
pub struct ThreadBell(Ringer);

impl Doorbell {
    /// Creates the eventfd. Must be called inside the core's executor.
    ///
    /// # Errors
    /// The system's error, if there is no descriptor left.
    pub fn new() -> io::Result<Doorbell> {
        let descriptor = eventfd(0)?;
        let ringer = Ringer(Arc::new(File::from(descriptor.try_clone()?)));
        #[cfg(feature = "simulation")]
        if crate::simulation::current().is_some() {
            return Ok(Doorbell { ear: Ear::Simulated(Rc::default()), ringer });
        }
        // SAFETY: a descriptor that nothing else owns any more; the file closes it.
        let ear = Ear::File(EventFile::new(unsafe { FromRawFd::from_raw_fd(descriptor.into_raw_fd()) }));
        Ok(Doorbell { ear, ringer })
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.ringer.0.as_raw_fd()
    }

    /// The bell that a simulated kernel rings, if this core has one.
    #[cfg(feature = "simulation")]
    pub(super) fn chime(&self) -> Option<Rc<Chime>> {
        match &self.ear {
            Ear::Simulated(chime) => Some(chime.clone()),
            Ear::File(_) => None,
        }
    }

    /// A ringer for other threads.
    pub fn ringer(&self) -> Ringer {
        self.ringer.clone()
    }

    /// Waits until the bell was rung at least once since the last call.
    ///
    /// # Errors
    /// The system's error, if the eventfd cannot be read.
    pub async fn rung(&self) -> io::Result<()> {
        match &self.ear {
            Ear::File(file) => file.rung().await,
            #[cfg(feature = "simulation")]
            Ear::Simulated(chime) => {
                chime.rung().await;
                Ok(())
            }
        }
    }
}

impl Ringer {
    /// Rings the bell.
    pub fn ring(&self) {
        // Writing fails only when the count of rings is at its maximum, near 2^64.
        let _ = (&*self.0).write(&1u64.to_ne_bytes());
    }
}

impl ThreadBell {
    /// Creates the eventfd.
    ///
    /// # Errors
    /// The system's error, if there is no descriptor left.
    pub fn new() -> io::Result<ThreadBell> {
        Ok(ThreadBell(Ringer(Arc::new(File::from(eventfd(libc::EFD_NONBLOCK)?)))))
    }

    /// A ringer for other threads.
    pub fn ringer(&self) -> Ringer {
        self.0.clone()
    }

    /// The descriptor, which is readable once the bell was rung.
    pub fn descriptor(&self) -> RawFd {
        self.0.0.as_raw_fd()
    }

    /// Resets the bell; it has not been rung afterwards.
    pub fn silence(&self) {
        // Reading fails only when the bell was not rung.
        let _ = (&*self.0.0).read(&mut [0; size_of::<u64>()]);
    }
}

fn eventfd(flags: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the result is checked before use.
    let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | flags) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
