//! Signals: the first one asks the work to end, the second one ends it; the terminal is given back in every case.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts;

use crate::failure::exit::INTERRUPTED;

/// Takes care of them from now on. The handler itself sets the flag, so that nothing comes between; all else is more than a
/// handler may do, and happens on a thread. A signal that is ignored stays so: `nohup`, and what a script puts into the
/// background.
#[cfg(unix)]
pub fn hold(flag: Arc<AtomicBool>) {
    use signal_hook::iterator::Signals;
    let ignored = ignored();
    let is_heeded = |signal: &&i32| ignored >> (**signal - 1) & 1 == 0;
    // Registration fails only for signals that cannot be caught.
    for signal in ENDING.iter().filter(is_heeded) {
        let _ = signal_hook::flag::register(*signal, Arc::clone(&flag));
    }
    let all = ENDING.iter().chain(&[consts::SIGQUIT, consts::SIGTSTP]);
    let Ok(mut signals) = Signals::new(all.filter(is_heeded)) else { return };
    let _ = std::thread::Builder::new().spawn(move || {
        let mut has_asked = false;
        for signal in signals.forever() {
            match signal {
                // A quit, or a stop until the shell says otherwise: as if nobody had asked, but for the terminal.
                consts::SIGQUIT | consts::SIGTSTP => {
                    crate::terminal::show();
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
                _ if std::mem::replace(&mut has_asked, true) => {
                    crate::terminal::show();
                    signal_hook::low_level::exit(INTERRUPTED.into());
                }
                _ => {}
            }
        }
    });
}

#[cfg(unix)]
const ENDING: [i32; 3] = [consts::SIGINT, consts::SIGTERM, consts::SIGHUP];

#[cfg(not(unix))]
pub fn hold(flag: Arc<AtomicBool>) {
    use signal_hook::flag;
    for signal in [consts::SIGINT, consts::SIGTERM] {
        let _ = flag::register_conditional_shutdown(signal, INTERRUPTED.into(), Arc::clone(&flag));
        let _ = flag::register(signal, Arc::clone(&flag));
    }
}

/// One bit for each signal that whoever started this wants ignored, the lowest for signal 1. Only Linux tells without
/// unsafe code.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
