//! A `gauth` that runs: what it says while it runs, and how it ended.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use url::Url;

use super::http::{self, Answer, Visit};

/// Far longer than anything here takes: only a hang gets there.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A process with its output being read. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: Receiver<Vec<u8>>,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Vec<u8>,
    url: Option<String>,
}

impl Running {
    /// Starts a command without waiting for anything.
    pub fn start(mut command: Command) -> Running {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a started gauth");
        let mut stdout = child.stdout.take().expect("its stdout");
        let mut stderr = BufReader::new(child.stderr.take().expect("its stderr"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut line = Vec::new();
            while stderr.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let _ = sender.send(std::mem::take(&mut line));
            }
        });
        let stdout = thread::spawn(move || {
            let mut all = Vec::new();
            stdout.read_to_end(&mut all).expect("readable stdout");
            all
        });
        Running { child, lines, stdout: Some(stdout), stderr: Vec::new(), url: None }
    }

    /// Starts a login and waits until it has printed its address.
    pub fn start_login(command: Command) -> Running {
        let mut running = Running::start(command);
        let line = running.wait_for_line(|line| line.trim_start().starts_with("http") && line.contains("state="));
        running.url = Some(line.trim().to_owned());
        running
    }

    /// Reads stderr up to a line.
    pub fn wait_for_line(&mut self, is_it: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) else {
                let _ = self.child.kill();
                panic!("gauth said only:\n{}", String::from_utf8_lossy(&self.stderr));
            };
            self.stderr.extend_from_slice(&line);
            let line = String::from_utf8_lossy(&line);
            if is_it(&line) {
                return line.into_owned();
            }
        }
    }

    /// The authorization URL.
    pub fn url(&self) -> &str {
        self.url.as_deref().expect("a login that has printed its address")
    }

    /// A parameter of the authorization URL.
    pub fn param(&self, name: &str) -> Option<String> {
        let url = Url::parse(self.url()).expect("a URL");
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The state that an answer must bring back.
    pub fn state(&self) -> String {
        self.param("state").expect("a state")
    }

    /// Where the browser is to come back to.
    pub fn redirect_uri(&self) -> Url {
        Url::parse(&self.param("redirect_uri").expect("a redirect URI")).expect("a URL")
    }

    /// `127.0.0.1:PORT`: the one right `Host`.
    pub fn authority(&self) -> String {
        http::authority_of(&self.redirect_uri())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        http::address_of(&self.redirect_uri())
    }

    /// One request with the headers of a browser's navigation; no redirect is followed.
    pub fn get(&self, target: &str) -> Answer {
        http::get(self.address(), &self.authority(), target)
    }

    /// Opens a redirect URL as a browser does, and follows the way to the page.
    pub fn visit(&self, redirect_url: &str) -> Visit {
        Visit::to(redirect_url)
    }

    /// The process id, for signals.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    #[cfg(unix)]
    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).expect("a live process");
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Waits for the end and takes everything that was said.
    #[must_use = "say how it should have ended"]
    pub fn wait(mut self) -> Ran {
        let status = self.wait_for_exit();
        let stdout = self.stdout.take().expect("waited for once").join().expect("read stdout");
        for line in self.lines.iter() {
            self.stderr.extend_from_slice(&line);
        }
        Ran { code: status.code(), stdout, stderr: std::mem::take(&mut self.stderr) }
    }

    fn wait_for_exit(&mut self) -> ExitStatus {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < end, "gauth did not end; it said:\n{}", String::from_utf8_lossy(&self.stderr));
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Ran {
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// stdout as JSON: one value on one line.
    pub fn json(&self) -> Value {
        let text = self.stdout();
        assert_eq!(text.matches('\n').count(), 1, "one line: {text:?}");
        assert!(text.ends_with('\n'), "a newline at the end: {text:?}");
        serde_json::from_str(&text).expect("JSON on stdout")
    }

    /// Exit code 0.
    pub fn succeeded(self) -> Ran {
        assert_eq!(self.code, Some(0), "stderr:\n{}", self.stderr());
        self
    }

    /// This exit code, an empty stdout, and an `error:` line.
    pub fn failed_with(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "stderr:\n{}", self.stderr());
        assert_eq!(self.stdout(), "", "a failure prints nothing on stdout");
        assert!(self.stderr().lines().any(|line| line.starts_with("error: ")), "stderr:\n{}", self.stderr());
        self
    }

    /// A part of stderr, in any case.
    pub fn said(self, text: &str) -> Ran {
        let said = self.stderr();
        assert!(said.to_lowercase().contains(&text.to_lowercase()), "{text:?} is not in stderr:\n{said}");
        self
    }
}
