//! The proxy variables as the program reads them: what goes through, and what never does (L-24).
#![cfg(feature = "cli")]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use support::{ALICE, Running, TestEnv, sandbox};

/// A proxy that writes down the first line of what comes, and lets nobody through.
fn proxy() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://user:pass@{}", listener.local_addr().expect("an address"));
    let (sender, seen) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut line = String::new();
            let _ = BufReader::new(&stream).read_line(&mut line);
            let _ = sender.send(line.trim().to_owned());
            let _ = (&stream).write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (address, seen)
}

/// `gauth login` at a provider on another machine, with these variables.
fn login(env: &TestEnv, variables: &[(&str, &str)]) -> support::Ran {
    let mut command = env.gauth(&["login", "--issuer", "https://op.invalid", "--client-id", "c", "--no-browser"]);
    command.envs(variables.iter().copied());
    Running::start(command).wait()
}

#[test]
fn https_to_another_machine_goes_through_the_proxy_of_any_of_the_usual_variables() {
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let (env, (address, seen)) = (TestEnv::new(), proxy());
        let ran = login(&env, &[(name, &address)]).failed_with(6);
        assert!(!ran.stderr().contains("pass"), "{}", ran.stderr());
        let lines: Vec<_> = seen.try_iter().collect();
        assert!(!lines.is_empty() && lines.iter().all(|line| line == "CONNECT op.invalid:443 HTTP/1.1"), "{lines:?}");
    }
}

#[test]
fn no_proxy_and_http_proxy_lead_past_it_and_a_provider_on_this_machine_is_never_behind_it() {
    let (env, (address, seen)) = (TestEnv::new(), proxy());
    let _ = login(&env, &[("HTTPS_PROXY", &address), ("NO_PROXY", "op.invalid")]).failed_with(6);
    let _ = login(&env, &[("HTTP_PROXY", &address), ("http_proxy", &address)]).failed_with(6);
    let sandbox = sandbox();
    let mut command = env.login_command(&sandbox, &[]);
    command.env("HTTPS_PROXY", &address).env("ALL_PROXY", &address).env("HTTP_PROXY", &address);
    let _ = env.signed_in_by(command, &sandbox, ALICE);
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), Vec::<String>::new());
}
