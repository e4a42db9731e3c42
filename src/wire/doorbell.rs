//! Wakes the core's executor when the wire ring has completions: an eventfd that the ring signals and that a task of the
//! core waits for. Other threads ring it by a [`Ringer`]; a thread
//! without an executor has a [`ThreadBell`] of the same kind.

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

/// Wakes whoever waits for a bell. Rings that nobody has heard yet are one.
#[derive(Clone)]
pub struct Ringer(Arc<File>);

/// A bell of a thread that polls its descriptor.
pub struct ThreadBell(Ringer);

impl Doorbell {
    /// A new eventfd. Must be called inside the core's executor.
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

    /// What a simulated kernel rings, if this core has one.
    #[cfg(feature = "simulation")]
    pub(super) fn chime(&self) -> Option<Rc<Chime>> {
        match &self.ear {
            Ear::Simulated(chime) => Some(chime.clone()),
            Ear::File(_) => None,
        }
    }

    /// Rings it from other threads.
    pub fn ringer(&self) -> Ringer {
        self.ringer.clone()
    }

    /// Waits until it was rung at least once since the last call.
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
    /// Rings.
    pub fn ring(&self) {
        // It fails only when 2^64 rings were not heard.
        let _ = (&*self.0).write(&1u64.to_ne_bytes());
    }
}

impl ThreadBell {
    /// A new eventfd.
    pub fn new() -> io::Result<ThreadBell> {
        Ok(ThreadBell(Ringer(Arc::new(File::from(eventfd(libc::EFD_NONBLOCK)?)))))
    }

    /// Rings it from other threads.
    pub fn ringer(&self) -> Ringer {
        self.0.clone()
    }

    /// Readable once it was rung.
    pub fn descriptor(&self) -> RawFd {
        self.0.0.as_raw_fd()
    }

    /// Hears all rings so far.
    pub fn silence(&self) {
        // It fails only when there is none.
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
