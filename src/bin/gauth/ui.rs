//! The terminal: stdout has the answer, stderr the talk; colour, the spinner, and the filter for other people's text.
#![allow(clippy::print_stderr, reason = "the one place that writes to the terminal")]

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gauth::Interrupt;

use crate::args::{Color, Global};
use crate::environment::Environment;
use crate::failure::Failure;

/// How to talk to the person.
#[derive(Clone, Copy, Debug)]
pub struct Ui {
    pub color: bool,
    pub quiet: bool,
    pub verbose: u8,
    pub is_terminal: bool,
}

impl Ui {
    pub fn new(global: &Global, environment: &Environment) -> Ui {
        let is_terminal = io::stderr().is_terminal() && !environment.term_is_dumb;
        let color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && !environment.no_color,
        };
        Ui { color, quiet: global.quiet, verbose: global.verbose, is_terminal }
    }

    /// Writes the answer and a newline. A reader that has gone away is no failure of ours.
    pub fn answer(self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::of_stdout(&error)),
            _ => Ok(()),
        }
    }

    /// A line for the person; not in quiet mode.
    pub fn say(self, line: &str) {
        if !self.quiet {
            write_line(line);
        }
    }

    /// A line for those who asked for more. What it may hold is chosen where it is called: hosts, codes, counts.
    pub fn detail(self, line: &str) {
        if self.verbose > 0 {
            write_line(&self.dim(&clean(line)));
        }
    }

    pub fn warn(self, line: &str) {
        write_line(&format!("{} {}", self.paint("33;1", "warning:"), clean(line)));
    }

    /// A warning in the middle of a wait: the spinner's line makes way for it.
    pub fn interject(self, line: &str) {
        if self.is_terminal {
            write_raw("\r\x1b[K");
        }
        self.warn(line);
    }

    pub fn fail(self, failure: &Failure) {
        write_line(&format!("{} {}", self.paint("31;1", "error:"), clean(&failure.fact)));
        for cause in &failure.causes {
            write_line(&format!("caused by: {}", clean(cause)));
        }
        for (at, hint) in failure.hints.iter().enumerate() {
            let lead = if at == 0 { "hint:" } else { "  or:" };
            write_line(&format!("{} {}", self.paint("36;1", lead), clean(hint)));
        }
    }

    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub fn good(self, text: &str) -> String {
        self.paint("32;1", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Shows what is being waited for until the result is dropped: a spinner on a terminal, one plain line elsewhere.
    /// Nothing appears if the wait is over before a person would wonder.
    pub fn waiting(self, what: &str, interrupt: &Interrupt) -> Waiting {
        if self.quiet {
            return Waiting { stop: None };
        }
        let (sender, stopped) = mpsc::channel();
        let (what, interrupt) = (clean(what), interrupt.clone());
        let thread = thread::Builder::new().spawn(move || spin(&what, self.is_terminal, &stopped, &interrupt));
        Waiting { stop: thread.ok().map(|thread| (sender, thread)) }
    }
}

/// See [`Ui::waiting`].
#[derive(Debug)]
pub struct Waiting {
    stop: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.stop.take() {
            drop(sender);
            let _ = thread.join();
        }
    }
}

fn spin(what: &str, is_terminal: bool, stopped: &mpsc::Receiver<()>, interrupt: &Interrupt) {
    let is_over = |after| stopped.recv_timeout(after) != Err(RecvTimeoutError::Timeout);
    if is_over(PATIENCE) {
        return;
    }
    if !is_terminal {
        write_line(&format!("{what} …"));
        while !interrupt.is_set() {
            if is_over(FRAME) {
                return;
            }
        }
        if !is_over(FRAME) {
            write_line(INTERRUPTED);
        }
        return;
    }
    for frame in FRAMES.iter().cycle() {
        let what = if interrupt.is_set() { INTERRUPTED } else { what };
        // A line that wraps could not be wiped again.
        let shown: String = format!("{frame} {what}").chars().take(columns().saturating_sub(1)).collect();
        write_raw(&format!("\r\x1b[K{shown}"));
        if is_over(FRAME) {
            return write_raw("\r\x1b[K");
        }
    }
}

/// The terminal's width, which may change while it waits.
#[cfg(unix)]
fn columns() -> usize {
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col).max(20),
        _ => 80, // some terminals do not know
    }
}

#[cfg(not(unix))]
fn columns() -> usize {
    80
}

fn write_line(line: &str) {
    write_raw(&format!("{line}\n"));
}

/// One write for a line, so that processes sharing a terminal do not mix theirs; a closed stderr is ignored.
fn write_raw(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Makes text that came from elsewhere harmless for a terminal (L-16): control characters, bidirectional and invisible
/// marks become escapes; over-long text is cut.
pub fn clean(text: &str) -> String {
    let mut cleaned: String = text.chars().take(LONGEST).map(escape).collect();
    if text.chars().nth(LONGEST).is_some() {
        cleaned.push('…');
    }
    cleaned
}

fn escape(c: char) -> String {
    if is_hidden(c) { c.escape_default().to_string() } else { c.to_string() }
}

/// Control characters, bidirectional and zero-width marks, and letters that show nothing.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
            | '\u{061C}' | '\u{00AD}' | '\u{180E}' | '\u{E0000}'..='\u{E01EF}' | '\u{034F}' | '\u{115F}' | '\u{1160}'
            | '\u{17B4}' | '\u{17B5}' | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFFB}')
}

const LONGEST: usize = 2048;
/// Before a person wonders.
const PATIENCE: Duration = Duration::from_millis(400);
const FRAME: Duration = Duration::from_millis(100);
/// A request that is under way may have spent the refresh token (T-8). Short, to fit a terminal's line.
const INTERRUPTED: &str = "interrupted: waiting for the answer under way; once more ends at once";
const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_line_ends_and_bidi_marks_do_not_reach_the_terminal() {
        let hostile = "a\x1b]0;x\x07b\u{9b}31mc\rd\ne\u{202e}f\u{2066}g\u{200b}h\x7f\0";
        let cleaned = clean(hostile);
        assert!(cleaned.chars().all(|c| c.is_ascii_graphic()), "{cleaned:?}");
        assert!(cleaned.contains("\\u{1b}") && cleaned.contains("\\n"));
    }

    #[test]
    fn ordinary_text_in_any_language_is_left_alone_and_long_text_is_cut() {
        assert_eq!(clean("Zugriff verweigert: müde 日本語"), "Zugriff verweigert: müde 日本語");
        assert_eq!(clean(&"x".repeat(9999)).chars().count(), LONGEST + 1);
    }
}
