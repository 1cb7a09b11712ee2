//! The terminal: lines that are typed or pasted and not shown, for as long as something else is waited for.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread::{self, JoinHandle};

use gauth::store::SecretBytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::stdio::stdin;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// Reads lines until it is dropped. Then the terminal is as before, and what was typed ahead is gone: the rest of a
/// paste is a secret, and the shell would take it for a command.
#[derive(Debug)]
pub struct HiddenLines {
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl HiddenLines {
    /// Gives each line to `take`. `None` if there is no terminal to read from, or if it is another program's turn.
    pub fn read(take: impl FnMut(SecretBytes) + Send + 'static) -> Option<HiddenLines> {
        if !is_ours() {
            return None;
        }
        let (stopped, stop) = rustix::pipe::pipe().ok()?;
        let hidden = Hidden::set()?;
        let thread = thread::Builder::new().spawn(move || {
            let _hidden = hidden;
            read_lines(&stopped, take);
        });
        Some(HiddenLines { stop: Some(stop), thread: thread.ok() })
    }
}

impl Drop for HiddenLines {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A terminal whose keys go to this process: one in the background is stopped when it reads or changes it.
fn is_ours() -> bool {
    tcgetpgrp(stdin()).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// The terminal while it shows nothing. Lines are put together here: its own are cut off at 4095 bytes.
struct Hidden(Termios);

impl Hidden {
    fn set() -> Option<Hidden> {
        let before = tcgetattr(stdin()).ok()?;
        let mut hidden = before.clone();
        hidden.local_modes -= LocalModes::ECHO | LocalModes::ICANON; // the keys for signals stay
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(stdin(), OptionalActions::Now, &hidden).ok()?;
        Some(Hidden(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if is_ours() {
            let _ = tcsetattr(stdin(), OptionalActions::Flush, &self.0);
        }
    }
}

fn read_lines(stopped: &OwnedFd, mut take: impl FnMut(SecretBytes)) {
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
fn next_bytes(stopped: &OwnedFd, buffer: &mut [u8]) -> Option<usize> {
    loop {
        let keys = stdin();
        let mut waited = [PollFd::new(stopped, PollFlags::IN), PollFd::new(&keys, PollFlags::IN)];
        // In the background only the end is waited for, with a look now and then at whose turn it is.
        let (watched, limit) = if is_ours() { (&mut waited[..], None) } else { (&mut waited[..1], Some(&LOOK)) };
        match poll(watched, limit) {
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
            Err(error) if io::Error::from(error).kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

/// More than any address that is taken.
const LONGEST_LINE: usize = 64 * 1024;
const LOOK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
