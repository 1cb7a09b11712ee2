//! Interrupt: a flag that a signal handler sets and that every wait looks at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Tells long waits to end. The library sets no signal handler; the program hands
/// [`Interrupt::flag`] to one, or never sets it.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// The flag itself, for a signal handler.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Whether the flag was set.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails once the flag was set.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn check(&self) -> Result<()> {
        if self.is_set() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Sleeps, but not past an interrupt.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn sleep(&self, duration: Duration) -> Result<()> {
        let end = end_of(duration);
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(INTERRUPT_POLL));
        }
    }

    /// Waits for a message, at most for `patience`; `None` if none came, also because its sender is gone. Time in which
    /// the process was stopped does not count: what came meanwhile is still to be looked at.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn receive<T>(&self, messages: &Receiver<T>, patience: Duration) -> Result<Option<T>> {
        let mut left = patience;
        loop {
            self.check()?;
            let begun = Instant::now();
            match messages.recv_timeout(left.min(INTERRUPT_POLL)) {
                Ok(message) => return Ok(Some(message)),
                Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
                Err(_) => return Ok(None),
            }
            left = left.saturating_sub(begun.elapsed().min(LONGEST_SLICE));
        }
    }
}

/// A wait longer than the clock can count is one of ten years.
fn end_of(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or_else(|| now + Duration::from_secs(10 * 365 * 86_400))
}

/// How long a wait may go on without looking at the flag: short enough that Ctrl-C feels immediate.
const INTERRUPT_POLL: Duration = Duration::from_millis(50);
/// A busy machine is late by less than this; whoever is later was stopped.
const LONGEST_SLICE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_ends_a_long_sleep_at_once() {
        let interrupt = Interrupt::default();
        interrupt.flag().store(true, Ordering::Relaxed);
        assert!(matches!(interrupt.sleep(Duration::from_secs(3600)), Err(Error::Interrupted)));
    }
}
