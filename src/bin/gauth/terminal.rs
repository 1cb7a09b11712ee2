//! The terminal: lines that are typed or pasted and not shown, for as long as something else is waited for.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use gauth::store::SecretBytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::stdio::stdin;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// Reads lines until it is dropped. Then the terminal is as before, and what was typed ahead is gone: the rest of a
/// paste is a secret, and the shell would take it for a command.
#[derive(Debug)]
pub struct HiddenLines {
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl HiddenLines {
    /// Gives each line to `take`. `None` if there is no terminal to read from, or if it is another program's turn.
    pub fn read(take: impl FnMut(SecretBytes) + Send + 'static) -> Option<HiddenLines> {
        if !is_ours() {
            return None;
        }
        let (stopped, stop) = io::pipe().ok()?; // not inherited by the browser, which may live on
        hide();
        let thread = thread::Builder::new().spawn(move || read_lines(&stopped, take));
        Some(HiddenLines { stop: Some(stop), thread: thread.ok() })
    }
}

impl Drop for HiddenLines {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        show();
    }
}

/// A terminal whose keys go to this process: one in the background is stopped when it reads or changes it.
fn is_ours() -> bool {
    tcgetpgrp(stdin()).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// How the terminal was before keys were hidden; only while they are.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

fn before() -> MutexGuard<'static, Option<Termios>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows no keys from now on, also if a shell has changed that meanwhile. Lines are put together here: the terminal's own
/// are cut off at 4095 bytes.
fn hide() {
    let Ok(now) = tcgetattr(stdin()) else { return };
    if !now.local_modes.intersects(LocalModes::ECHO | LocalModes::ICANON) {
        return;
    }
    let mut hidden = now.clone();
    hidden.local_modes -= LocalModes::ECHO | LocalModes::ICANON; // the keys for signals stay
    hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
    hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
    *before() = Some(now);
    let _ = tcsetattr(stdin(), OptionalActions::Now, &hidden);
}

/// Gives the terminal back as it was. For whoever ends or stops this process without a drop as well.
pub fn show() {
    if let Some(before) = before().take().filter(|_| is_ours()) {
        let _ = tcsetattr(stdin(), OptionalActions::Flush, &before);
    }
}

fn read_lines(stopped: &PipeReader, mut take: impl FnMut(SecretBytes)) {
    let (mut line, mut buffer) = (Vec::new(), [0; 1024]);
    while let Some(count) = next_bytes(stopped, &mut buffer) {
        for byte in &buffer[..count] {
            match byte {
                b'\n' | b'\r' => take(SecretBytes::new(std::mem::take(&mut line))),
                0x08 | 0x7f => drop(line.pop()),
                0x15 => line.clear(), // Ctrl-U
                _ if line.len() < LONGEST_LINE => line.push(*byte),
                _ => {}
            }
        }
    }
}

/// Waits for keys. `None` at the end, whichever side ends it.
fn next_bytes(stopped: &PipeReader, buffer: &mut [u8]) -> Option<usize> {
    loop {
        let keys = stdin();
        let mut waited = [PollFd::new(stopped, PollFlags::IN), PollFd::new(&keys, PollFlags::IN)];
        // In the background only the end is waited for. Back from there, a shell has shown the keys again.
        let is_ours_now = is_ours();
        if is_ours_now {
            hide();
        }
        let watched = if is_ours_now { &mut waited[..] } else { &mut waited[..1] };
        match poll(watched, Some(&LOOK)) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return None,
            Ok(_) => {}
        }
        if !waited[0].revents().is_empty() {
            return None;
        }
        if waited[1].revents().is_empty() || !is_ours() {
            continue;
        }
        match rustix::io::read(keys.as_fd(), &mut *buffer) {
            Ok(0) => return None,
            Ok(count) => return Some(count),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

/// More than any address that is taken.
const LONGEST_LINE: usize = 64 * 1024;
/// Until the next look at whose turn it is.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
