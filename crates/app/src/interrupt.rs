//! Ctrl-C: once is "finish the batch, save, stop"; twice is "stop now".

use std::sync::atomic::{AtomicUsize, Ordering};

/// How often Ctrl-C (or a polite `kill`) has come.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Starts listening. Once only, from `main`.
///
/// The first signal is merely counted: whoever works polls [`requested`] between batches.
/// The second ends the process at once, which is safe at any moment because the library commits
/// each batch whole.
pub fn listen() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        if COUNT.fetch_add(1, Ordering::SeqCst) > 0 {
            eprintln!("\nstopped at once; everything that was committed is kept");
            std::process::exit(crate::exit::Exit::Interrupted as i32);
        }
        eprintln!("\nfinishing this batch; Ctrl-C again stops at once");
    })
}

/// Whether the user wants us to stop at the next good moment.
pub fn requested() -> bool {
    COUNT.load(Ordering::SeqCst) > 0
}
