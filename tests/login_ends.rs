//! Logins that nobody finishes, that are interrupted, and the browser that they start.
#![cfg(feature = "cli")]

mod support;

use gauth::sandbox::Endpoint;
use support::{TestEnv, http, sandbox};

/// L-12, G-22: what the provider shows on its own page never reaches the program, so the hint has to name it.
#[test]
fn a_login_that_nobody_finishes_ends_with_the_errors_that_a_person_may_have_seen() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let login = env.login(&sandbox, &["--timeout", "1s", "--json"]);
    let address = login.address();
    let ran = login.wait().failed_with(5).said("error: nobody finished the sign-in within 1 s");
    assert!(http::connect(address).is_err(), "the port is closed");
    env.assert_nothing_kept(&sandbox);
    let mut ran = ran.said("hint: gauth login").said("--client-secrets").said("--timeout");
    for code in [
        "redirect_uri_mismatch",
        "invalid_client",
        "deleted_client",
        "disallowed_useragent",
        "org_internal",
        "admin_policy_enforced",
        "invalid_request",
        "access_not_configured",
        "access_denied",
    ] {
        ran = ran.said(code);
    }
    ran.said("console.cloud.google.com");
}

/// Peers, section 0: an idle connection held google-auth-oauthlib past its time limit.
#[test]
fn connections_that_are_held_open_do_not_hold_up_the_time_limit() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let login = env.login(&sandbox, &["--timeout", "1s"]);
    let idle: Vec<_> = (0..10).map(|_| http::connect(login.address()).expect("a connection")).collect();
    login.wait().failed_with(5);
    drop(idle);
}

#[cfg(unix)]
mod signals {
    use rustix::process::Signal;

    use super::*;

    /// cli.md: 130, and nothing left listening.
    #[test]
    fn ctrl_c_and_termination_end_the_wait_with_130_and_nothing_left() {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let (env, sandbox) = (TestEnv::new(), sandbox());
            let login = env.login(&sandbox, &["--json"]);
            let (address, url) = (login.address(), login.url().to_owned());
            login.signal(signal);
            login.wait().failed_with(130).said("interrupted");
            assert!(http::connect(address).is_err(), "the port is closed");
            let redirect = sandbox.approve(&url, support::ALICE);
            assert!(redirect.contains("code="), "the person may still be at the provider's page");
            assert_eq!(sandbox.count(Endpoint::Token), 0);
            env.assert_nothing_kept(&sandbox);
        }
    }

    /// A signal between the provider's answer and the save must not leave a grant that nobody knows of: either all of
    /// it is kept, or nothing.
    #[test]
    fn a_signal_during_the_exchange_leaves_a_whole_login_or_none() {
        use std::time::Duration;

        use gauth::sandbox::Fault;
        let (env, sandbox) = (TestEnv::new(), sandbox());
        sandbox.inject(Fault::Slow(Duration::from_millis(500)));
        let login = env.login(&sandbox, &[]);
        let redirect = sandbox.approve(login.url(), support::ALICE);
        let browser = std::thread::spawn(move || http::Visit::to(&redirect));
        support::until("the exchange has begun", || sandbox.count(Endpoint::Token) == 1);
        login.signal(Signal::INT);
        let visit = browser.join().expect("a page");
        let ran = login.wait();
        assert_eq!(ran.code, Some(130), "stderr:\n{}", ran.stderr());
        match visit.page.body.contains("You are signed in") {
            true => env.run(&["token", "--force-refresh"]).succeeded(),
            false => {
                env.assert_nothing_kept(&sandbox);
                env.run(&["token"]).failed_with(4)
            }
        };
    }
}

#[cfg(unix)]
mod browser {
    use std::fs;
    use std::path::PathBuf;

    use super::support::{ALICE, CLIENT, Running, until};
    use super::*;

    /// A browser that writes down its arguments, one a line.
    fn recorder(env: &TestEnv, name: &str) -> (PathBuf, PathBuf) {
        use std::os::unix::fs::PermissionsExt as _;
        let record = env.files().join(format!("{name}.argv"));
        let script = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$@\" > '{0}.part'\nmv '{0}.part' '{0}'\n",
            record.to_str().expect("a path in UTF-8")
        );
        let program = env.write(name, &script);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("an executable file");
        (program, record)
    }

    fn recorded(record: &PathBuf) -> Vec<String> {
        until("the browser was started", || record.exists());
        fs::read_to_string(record).expect("a record").lines().map(str::to_owned).collect()
    }

    /// L-20, Appendix A, ML.
    #[test]
    fn the_browser_gets_the_address_as_its_one_argument() {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        let file = env.client_file(&sandbox, CLIENT);
        for way in ["option", "GAUTH_BROWSER", "BROWSER"] {
            let (program, record) = recorder(&env, way);
            let mut command = env.gauth(&["login", "--profile", way, "--client-secrets"]);
            command.arg(&file);
            match way {
                "option" => command.arg("--browser").arg(program),
                variable => command.env(variable, program),
            };
            let login = Running::start_login(command);
            assert_eq!(recorded(&record), [login.url()], "{way}");
            login.visit(&sandbox.approve(login.url(), ALICE)).assert_signed_in(ALICE);
            login.wait().succeeded();
        }
    }

    /// Programs that start one sign-in after the other, with nobody there, do not fill the screen with tabs.
    #[test]
    fn after_three_unanswered_sign_ins_without_a_terminal_no_browser_is_opened_until_one_is_answered() {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        let file = env.client_file(&sandbox, CLIENT);
        let start = |name: &str, timeout: &str| {
            let (program, record) = recorder(&env, name);
            let mut command = env.gauth(&["login", "--timeout", timeout, "--client-secrets"]);
            command.arg(&file).env("BROWSER", program);
            (Running::start_login(command), record)
        };
        for name in ["first", "second", "third"] {
            let (login, record) = start(name, "1s");
            assert_eq!(recorded(&record), [login.url()]);
            let _ = login.wait().failed_with(5);
        }
        let (login, record) = start("fourth", "1s");
        let _ = login.wait().failed_with(5).said("so no browser is opened");
        assert!(!record.exists());

        let (login, _) = start("fifth", "60s");
        login.visit(&sandbox.approve(login.url(), ALICE)).assert_signed_in(ALICE);
        login.wait().succeeded();
        let (login, record) = start("sixth", "1s");
        assert_eq!(recorded(&record), [login.url()]);
        let _ = login.wait().failed_with(5);
    }

    /// L-20: what a shell or `cmd` would take for its own stays part of the one argument.
    #[test]
    fn an_endpoint_full_of_shell_words_is_still_one_argument() {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        let hostile = "/authorize?a=b&calc=$(touch${IFS}pwned)&q=\\\"'`;|<>^%action%20%22 x\\ty";
        let client = sandbox.client_secrets_json(CLIENT).replace("/authorize", hostile);
        let file = env.write("hostile.json", &client);
        let (program, record) = recorder(&env, "recorder");
        let mut command = env.gauth(&["login", "--client-secrets"]);
        command.arg(file).arg("--browser").arg(program);
        let login = Running::start_login(command);
        let [url] = &recorded(&record)[..] else { panic!("one argument") };
        assert_eq!(url, login.url());
        assert!(url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'<>".contains(&byte)), "{url}");
        let made: Vec<PathBuf> =
            env.files_below(env.root()).into_iter().filter(|path| path.ends_with("pwned")).collect();
        assert_eq!(made, Vec::<PathBuf>::new());
    }

    #[test]
    fn no_browser_means_none_whatever_the_environment_says() {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        let (program, record) = recorder(&env, "recorder");
        let mut command = env.login_command(&sandbox, &[]);
        command.env("BROWSER", &program);
        env.signed_in_by(command, &sandbox, ALICE);
        assert!(!record.exists());
    }

    #[test]
    fn a_browser_that_is_not_there_is_a_warning_and_the_address_still_works() {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        let mut command = env.gauth(&["login", "--browser", "no-such-browser-7f3a", "--client-secrets"]);
        command.arg(env.client_file(&sandbox, CLIENT));
        env.signed_in_by(command, &sandbox, ALICE).said("warning: no browser could be opened");
    }
}

/// Over SSH without a display the address alone is of no use: the line that makes it work is printed too.
#[test]
fn over_ssh_the_port_forwarding_line_is_printed_ready_to_copy() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let mut command = env.gauth(&["login", "--client-secrets"]);
    command.arg(env.client_file(&sandbox, support::CLIENT));
    command.env("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.9 22").env("USER", "ann");
    let mut login = support::Running::start_login(command);
    let port = login.address().port();
    let forwarding = format!("-L {port}:127.0.0.1:{port} ann@192.0.2.9");
    login.wait_for_line(|line| line.trim().starts_with("ssh ") && line.trim().ends_with(&forwarding));
    login.visit(&sandbox.approve(login.url(), support::ALICE)).assert_signed_in(support::ALICE);
    login.wait().succeeded();
}
