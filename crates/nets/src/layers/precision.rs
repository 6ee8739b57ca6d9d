//! In what the linear layers multiply: f32, or bf16 where someone asked for it.
//!
//! The wish holds for one piece of work on one thread, so that training in bf16 leaves whatever else
//! the process does in f32. A layer's gradients are computed as its values were.

use kernels::Precision;
use std::cell::Cell;

thread_local! {
    static WISH: Cell<Precision> = const { Cell::new(Precision::F32) };
}

/// In what linear layers that run on this thread now multiply.
pub fn multiplying() -> Precision {
    WISH.get()
}

/// Runs `work`; linear layers that it calls on this thread multiply in `precision`, with f32 sums.
/// Parameters, and whatever lies between the layers, stay f32.
pub fn with_precision<T>(precision: Precision, work: impl FnOnce() -> T) -> T {
    /// Puts the former wish back, also when the work panics.
    struct Former(Precision);
    impl Drop for Former {
        fn drop(&mut self) {
            WISH.set(self.0);
        }
    }
    let _former = Former(WISH.replace(precision));
    work()
}
