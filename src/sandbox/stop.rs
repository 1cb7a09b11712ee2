//! The end of a sandbox, which cuts every wait short.

use std::io::{self, ErrorKind};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A flag that can be waited for.
#[derive(Debug, Default)]
pub(super) struct Stop {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(super) fn set(&self) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    pub(super) fn is_set(&self) -> bool {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps.
    ///
    /// # Errors
    ///
    /// `Interrupted` as soon as the flag is set.
    pub(super) fn wait(&self, duration: Duration) -> io::Result<()> {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(set, duration, |set| !*set);
        let (set, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *set { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
    }
}
