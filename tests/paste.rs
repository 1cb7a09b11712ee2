//! The third door: the address that the browser ended at, pasted on the terminal (L-26). The terminal is a real one.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod support;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use gauth::sandbox::{Endpoint, Fault, IssuedKind, Sandbox};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use support::{ALICE, BOB, CLIENT, Running, TestEnv, Visit, process, sandbox, until};

/// A command with a terminal of its own: what is typed into it, and what its screen showed.
struct Terminal {
    keys: File,
    /// Held open, so that the terminal outlives the command.
    line: File,
    screen: Arc<Mutex<String>>,
    child: Child,
}

impl Terminal {
    fn start(command: &Command, stdout: Option<Stdio>) -> Terminal {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&keys).and_then(|()| unlockpt(&keys)).expect("a terminal to use");
        let name = ptsname(&keys, Vec::new()).expect("its name");
        let line = File::options().read(true).write(true).open(name.to_str().expect("text")).expect("its other end");
        let end = || Stdio::from(line.try_clone().expect("a copy"));
        let child = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .envs([("TERM", "xterm"), ("NO_COLOR", "1")])
            .current_dir(command.get_current_dir().expect("a folder"))
            .stdin(end())
            .stdout(stdout.unwrap_or_else(end))
            .stderr(end())
            .spawn()
            .expect("a started command");
        let (keys, screen) = (File::from(keys), Arc::new(Mutex::new(String::new())));
        let (mut shown, written) = (keys.try_clone().expect("a copy"), Arc::clone(&screen));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = shown.read(&mut buffer) {
                written.lock().expect("a lock").push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        Terminal { keys, line, screen, child }
    }

    fn screen(&self) -> String {
        self.screen.lock().expect("a lock").clone()
    }

    fn wait_for(&self, text: &str) {
        until(text, || self.screen().contains(text));
    }

    /// The address that the person is to open, once keys are no longer shown.
    fn address(&self) -> String {
        self.wait_for("it is not shown");
        let screen = self.screen();
        screen.lines().find(|line| line.contains("state=")).expect("an address").trim().to_owned()
    }

    fn type_in(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).expect("typed");
    }

    fn shows_keys(&self) -> bool {
        tcgetattr(&self.line).expect("its modes").local_modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    fn code(&mut self) -> Option<i32> {
        let end = Instant::now() + process::DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            assert!(Instant::now() < end, "it did not end; the screen:\n{}", self.screen());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn code_of(sandbox: &Sandbox) -> String {
    sandbox.issued().into_iter().find(|issued| issued.kind == IssuedKind::Code).expect("a code").value
}

#[test]
fn a_wrong_paste_asks_again_and_the_right_one_signs_in_without_being_shown() {
    let (sandbox, env) = (sandbox(), TestEnv::new());
    let mut terminal = Terminal::start(&env.login_command(&sandbox, &[]), None);
    let answer = sandbox.approve(&terminal.address(), ALICE);
    assert!(!terminal.shows_keys());

    let (before, state) = answer.split_once("state=").expect("a state");
    let wrong = format!("{before}state=x{state}");
    for (asked, paste) in ["\r\nhttps://op.example/?code=c&state=s\r", &format!("{wrong}\r")].iter().enumerate() {
        terminal.type_in(paste);
        until("asked again", || terminal.screen().matches("that is not the address").count() == asked + 1);
    }
    assert_eq!(sandbox.count(Endpoint::Token), 0);

    terminal.type_in(&format!("x\x15y\x7f{answer}\r"));
    assert_eq!(terminal.code(), Some(0), "{}", terminal.screen());
    let screen = terminal.screen();
    assert!(screen.contains("only if you started this yourself"), "{screen}");
    assert!(screen.contains(&format!("signed in as {ALICE}")), "{screen}");
    assert!(!screen.contains(&code_of(&sandbox)), "{screen}");
    assert!(terminal.shows_keys());
    assert_eq!(env.profiles()[0]["email"], ALICE);
}

#[test]
fn the_query_alone_will_do_and_an_answer_in_a_substitution_is_only_the_answer() {
    let (sandbox, env) = (sandbox(), TestEnv::new());
    let mut terminal = Terminal::start(&env.login_command(&sandbox, &["--json"]), Some(Stdio::piped()));
    let answer = sandbox.approve(&terminal.address(), ALICE);
    let (_, query) = answer.split_once('?').expect("a query");
    terminal.type_in(&format!("{query}\nleft over\n"));
    assert_eq!(terminal.code(), Some(0), "{}", terminal.screen());
    let mut stdout = String::new();
    terminal.child.stdout.take().expect("its stdout").read_to_string(&mut stdout).expect("read");
    let json: serde_json::Value = serde_json::from_str(&stdout).expect("JSON and nothing else");
    assert_eq!(json["email"], ALICE);
    assert_eq!(rustix::io::ioctl_fionread(&terminal.line).expect("a count"), 0, "the next program gets none of it");
}

#[test]
fn a_paste_is_held_to_the_same_account_and_refusal() {
    let (sandbox, env) = (sandbox(), TestEnv::new());
    let mut terminal = Terminal::start(&env.login_command(&sandbox, &["--login-hint", ALICE]), None);
    let answer = sandbox.approve(&terminal.address(), BOB);
    terminal.type_in(&format!("{answer}\r"));
    assert_eq!(terminal.code(), Some(5), "{}", terminal.screen());
    env.assert_nothing_kept(&sandbox);

    let mut terminal = Terminal::start(&env.login_command(&sandbox, &[]), None);
    let address = url::Url::parse(&terminal.address()).expect("a URL");
    let (_, state) = address.query_pairs().find(|(name, _)| name == "state").expect("a state");
    let issuer = address.origin().ascii_serialization();
    terminal.type_in(&format!("error=access_denied&state={state}&iss={issuer}\r"));
    assert_eq!(terminal.code(), Some(5), "{}", terminal.screen());
    assert!(terminal.screen().contains("access_denied"), "{}", terminal.screen());
}

#[test]
fn whichever_door_is_first_there_is_one_exchange() {
    let (sandbox, env) = (sandbox(), TestEnv::new());
    for _ in 0..5 {
        let before = sandbox.count(Endpoint::Token);
        let mut terminal = Terminal::start(&env.login_command(&sandbox, &[]), None);
        let answer = sandbox.approve(&terminal.address(), ALICE);
        thread::scope(|scope| {
            scope.spawn(|| Visit::to(&answer));
            terminal.type_in(&format!("{answer}\r{answer}\r"));
        });
        assert_eq!(terminal.code(), Some(0), "{}", terminal.screen());
        assert_eq!(sandbox.count(Endpoint::Token), before + 1);
    }
}

#[test]
fn ctrl_c_gives_the_terminal_back_as_it_was() {
    let (sandbox, env) = (sandbox(), TestEnv::new());
    let mut terminal = Terminal::start(&env.login_command(&sandbox, &[]), None);
    terminal.address();
    until("keys are hidden", || !terminal.shows_keys());
    terminal.type_in("half a paste\x03");
    assert_eq!(terminal.code(), Some(130), "{}", terminal.screen());
    assert!(terminal.shows_keys() && !terminal.screen().contains("half"));
}

/// The second one ends it where it is, and the terminal is given back all the same.
#[test]
fn a_second_ctrl_c_gives_the_terminal_back_as_well() {
    let (sandbox, env) = (sandbox(), TestEnv::new());
    let mut terminal = Terminal::start(&env.login_command(&sandbox, &[]), None);
    let answer = sandbox.approve(&terminal.address(), ALICE);
    sandbox.inject(Fault::Hang(Duration::from_secs(30)));
    terminal.type_in(&format!("{answer}\r"));
    until("the exchange", || sandbox.count(Endpoint::Token) == 1);
    terminal.type_in("\x03");
    terminal.wait_for("once more ends at once");
    terminal.type_in("\x03");
    assert_eq!(terminal.code(), Some(130), "{}", terminal.screen());
    assert!(terminal.shows_keys());
}

/// A browser that stays in the foreground inherits nothing that the end of the login waits for.
#[test]
fn a_browser_that_lives_on_does_not_hold_up_the_end() {
    use std::os::unix::fs::PermissionsExt as _;
    let (sandbox, env) = (sandbox(), TestEnv::new());
    let browser = env.write("browser", "#!/bin/sh\nexec sleep 60\n");
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o700)).expect("an executable file");
    let mut login = env.gauth(&["login", "--client-secrets"]);
    login.arg(env.client_file(&sandbox, CLIENT)).env("BROWSER", browser);
    let mut terminal = Terminal::start(&login, None);
    let answer = sandbox.approve(&terminal.address(), ALICE);
    let begun = Instant::now();
    terminal.type_in(&format!("{answer}\r"));
    assert_eq!(terminal.code(), Some(0), "{}", terminal.screen());
    assert!(begun.elapsed() < Duration::from_secs(30), "it waited for the browser");
}

/// Stopped by Ctrl-Z and brought back by a real shell.
#[test]
fn after_ctrl_z_and_back_keys_are_still_hidden_and_shown_meanwhile() {
    let (sandbox, env) = (sandbox(), TestEnv::new());
    let login = env.login_command(&sandbox, &[]);
    let mut shell = Command::new("bash");
    shell.args(["--norc", "--noprofile", "--noediting", "-i"]).current_dir(env.home());
    shell.envs(login.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PS1", "ready> ");
    let mut terminal = Terminal::start(&shell, None);
    terminal.wait_for("ready> ");
    let words = std::iter::once(login.get_program()).chain(login.get_args()).map(|word| word.to_str().expect("text"));
    terminal.type_in(&(words.collect::<Vec<_>>().join(" ") + "\r"));
    let answer = sandbox.approve(&terminal.address(), ALICE);
    until("keys are hidden", || !terminal.shows_keys());
    terminal.type_in("\x1a");
    terminal.wait_for("Stopped");
    until("keys are shown", || terminal.shows_keys());
    terminal.type_in("bg\r");
    terminal.wait_for("&");
    terminal.type_in("fg\r");
    until("keys are hidden again", || !terminal.shows_keys());
    terminal.type_in(&format!("{answer}\r"));
    terminal.wait_for("signed in as");
    terminal.type_in("exit\r");
    assert_eq!(terminal.code(), Some(0), "{}", terminal.screen());
    assert!(!terminal.screen().contains(&code_of(&sandbox)), "{}", terminal.screen());
}

#[test]
fn a_login_in_the_background_leaves_the_terminal_alone_and_is_not_stopped() {
    let (sandbox, env) = (sandbox(), TestEnv::new());
    let login = env.login_command(&sandbox, &[]);
    let mut shell = env.gauth(&[]);
    let gauth = std::mem::replace(&mut shell, Command::new("sh")).get_program().to_owned();
    shell.args(["-c", "set -m; \"$@\" & wait $!", "sh"]).arg(gauth).args(login.get_args());
    shell.current_dir(env.home()).envs(login.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut terminal = Terminal::start(&shell, None);
    terminal.wait_for("state=");
    terminal.wait_for("waiting for the browser");
    assert!(terminal.shows_keys() && !terminal.screen().contains("paste"), "{}", terminal.screen());
    let screen = terminal.screen();
    let address = screen.lines().find(|line| line.contains("state=")).expect("an address").trim().to_owned();
    let _ = Visit::to(&sandbox.approve(&address, ALICE));
    assert_eq!(terminal.code(), Some(0), "{}", terminal.screen());
}

#[test]
fn without_a_terminal_nothing_is_asked_for() {
    let (sandbox, env) = (sandbox(), TestEnv::new());
    let login = Running::start_login(env.login_command(&sandbox, &[]));
    let _ = login.visit(&sandbox.approve(login.url(), ALICE));
    let ran = login.wait().succeeded();
    assert!(!ran.stderr().contains("paste"), "{}", ran.stderr());
}
