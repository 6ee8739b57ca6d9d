//! Ctrl-C: once is "finish the batch, save, stop"; twice is "stop now".

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit::Exit;

/// Raised by the first signal.
static RAISED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Starts listening to Ctrl-C and to a polite `kill`. Once only, from `main`.
///
/// The first signal only raises a flag: whoever works polls [`requested`] between batches.
/// The second ends the process at once, which is safe at any moment because the library commits
/// each batch whole.
pub fn listen() -> std::io::Result<()> {
    let raised = RAISED.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM] {
        // In this order: the shutdown looks whether an earlier signal raised the flag, and only
        // then is it raised.
        flag::register_conditional_shutdown(signal, Exit::Interrupted as i32, raised.clone())?;
        flag::register(signal, raised.clone())?;
    }
    Ok(())
}

/// Whether the user wants us to stop at the next good moment. Says so the first time that it has.
pub fn requested() -> bool {
    static SAID: AtomicBool = AtomicBool::new(false);
    let raised = RAISED.get().is_some_and(|raised| raised.load(Ordering::SeqCst));
    if raised && !SAID.swap(true, Ordering::SeqCst) {
        let _ = writeln!(std::io::stderr(), "\nstopping after this batch; Ctrl-C again stops at once");
    }
    raised
}
