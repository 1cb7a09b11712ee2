//! The browser: opens a URL in the default one or a named one. The only file that names webbrowser and open.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use url::Url;

use crate::error::Result;
use crate::provider::check_endpoint;

/// Which browser shows the provider's page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Browser {
    /// The system's, or the one in `$BROWSER`.
    #[default]
    Default,
    /// A program by name or path.
    App(String),
    /// None: the URL is only shown.
    None,
}

/// How far opening got.
#[derive(Debug)]
pub enum Opening {
    /// The browser was started, or is still starting.
    Started,
    /// It could not be started; the URL has to be opened by hand.
    Failed(io::Error),
    /// None was wanted.
    NotWanted,
}

impl Browser {
    /// Opens `url` without waiting for the browser to end: text-mode browsers and some launchers stay in the
    /// foreground, so it runs on a thread, and only a failure that comes at once is reported.
    ///
    /// The URL is one argument of one program, never a shell's line, and its scheme was checked (L-20).
    ///
    /// # Errors
    /// [`crate::Error::EndpointRefused`] for anything but https or http on this machine.
    pub fn open(&self, url: &Url) -> Result<Opening> {
        check_endpoint("address for the browser", url)?;
        if *self == Browser::None {
            return Ok(Opening::NotWanted);
        }
        let (browser, url) = (self.clone(), url.clone());
        let (sender, receiver) = mpsc::channel();
        if let Err(cause) = thread::Builder::new().spawn(move || sender.send(browser.launch(&url))) {
            return Ok(Opening::Failed(cause));
        }
        Ok(match receiver.recv_timeout(PATIENCE) {
            Ok(Err(cause)) => Opening::Failed(cause),
            Ok(Ok(())) | Err(_) => Opening::Started,
        })
    }

    fn launch(&self, url: &Url) -> io::Result<()> {
        match self {
            Browser::Default => webbrowser::open(url.as_str()),
            Browser::App(name) => open::with(url.as_str(), name),
            Browser::None => Ok(()),
        }
    }
}

/// How long a launcher has to say that it failed.
const PATIENCE: Duration = Duration::from_millis(700);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn anything_but_https_or_this_machine_is_refused_before_any_program_starts() {
        for bad in
            ["file:///etc/passwd", "javascript:alert(1)", "http://op.example/", "ftp://op.example/", "data:text/html,x"]
        {
            let url = Url::parse(bad).expect("a URL");
            assert!(matches!(Browser::App("true".to_owned()).open(&url), Err(Error::EndpointRefused { .. })), "{bad}");
        }
    }

    #[test]
    fn a_browser_that_is_not_there_is_reported() {
        let url = Url::parse("http://127.0.0.1:1/").expect("a URL");
        let opening = Browser::App("no-such-browser-7f3a".to_owned()).open(&url).expect("a good URL");
        assert!(matches!(opening, Opening::Failed(_)));
    }
}
