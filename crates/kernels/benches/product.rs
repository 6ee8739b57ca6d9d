//! Single products at the shapes of training and of answering, beside the `gemm` crate:
//! `cargo bench -p likebut-kernels --bench product`. Whole networks are in the bench `infer` of the nets crate.
//!
//! One thread, billions of multiplications and additions a second, the best of many runs by that thread's own
//! clock: what the code can do, whatever else the machine does meanwhile.

use kernels::{Activation, Epilogue, Mat, Packed, Precision, product, product_packed};
use std::time::Instant;

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().expect("one thread");
    pool.install(|| {
        training();
        frozen();
    });
}

/// y = x·w and the two products of its gradient, neither factor known before.
fn training() {
    println!("A linear layer in training, m × k by k × n: its result y, and the gradients dx and dw.\n");
    println!("| m × k × n | numbers | y | dx | dw |");
    println!("|---|---|--:|--:|--:|");
    for (m, k, n) in [
        (3200, 192, 576),
        (3200, 192, 768),
        (3200, 768, 192),
        (3200, 192, 192),
        (4160, 256, 768),
        (4160, 256, 1024),
        (4160, 1024, 256),
        (50, 192, 576),
        (65, 64, 65),
    ] {
        let (x, w, dy) = (numbers(m * k), numbers(k * n), numbers(m * n));
        let (mut y, mut dx, mut dw) = (vec![0.0; m * n], vec![0.0; m * k], vec![0.0; k * n]);
        let row = |name: &str, seconds: [f64; 3]| {
            let [y, dx, dw] = seconds.map(|s| rate(m, k, n) / s);
            println!("| {m} × {k} × {n} | {name} | {y:.0} | {dx:.0} | {dw:.0} |");
        };
        let (xs, ws, dys) = (Mat::dense(&x, m, k), Mat::dense(&w, k, n), Mat::dense(&dy, m, n));
        for (name, precision) in [("f32", Precision::F32), ("bf16", Precision::Bf16)] {
            let e = Epilogue::default();
            let ours = [
                best(|| product(&mut y, (0, n), xs, ws, precision, &e)),
                best(|| product(&mut dx, (0, k), dys, ws.t(), precision, &e)),
                best(|| product(&mut dw, (0, n), xs.t(), dys, precision, &e)),
            ];
            row(name, ours);
        }
        let theirs = [
            best(|| gemm(&mut y, (m, k, n), (&x, 1, k), (&w, 1, n))),
            best(|| gemm(&mut dx, (m, n, k), (&dy, 1, n), (&w, n, 1))),
            best(|| gemm(&mut dw, (k, m, n), (&x, k, 1), (&dy, 1, n))),
        ];
        row("gemm f32", theirs);
    }
}

/// Frozen layers that one picture, one question or eight pictures go through; the weights are packed once.
fn frozen() {
    println!("\nA frozen layer, alone, and in bf16 with what is done to its result on the way.\n");
    println!(
        "| m × k × n | f32, never packed | f32 | f32 of halves | bf16 | int8 | bf16 + bias | + GELU | + residual |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (m, k, n) in
        [(32, 768, 768), (50, 768, 2304), (50, 3072, 768), (257, 1408, 4224), (257, 6144, 1408), (2056, 1408, 4224)]
    {
        let (x, w, bias, rest, mut y) =
            (numbers(m * k), numbers(k * n), vec![0.1; n], numbers(m * n), vec![0.0; m * n]);
        // The numbers are halves; these are none.
        let full: Vec<f32> = w.iter().map(|w| w + 0.1).collect();
        let [x, w, full] = [(&x, m, k), (&w, k, n), (&full, k, n)].map(|(x, rows, cols)| Mat::dense(x, rows, cols));
        let none = Epilogue::default();
        let mut cells = vec![rate(m, k, n) / best(|| product(&mut y, (0, n), x, w, Precision::F32, &none))];
        let f32s = [Packed::new(full, Precision::F32), Packed::halves(w).expect("the numbers are halves")];
        for packed in f32s.into_iter().chain([Packed::new(w, Precision::Bf16), Packed::int8(w)]) {
            cells.push(rate(m, k, n) / best(|| product_packed(&mut y, (0, n), x, &packed, &none)));
        }
        let packed = Packed::new(w, Precision::Bf16);
        for e in [
            Epilogue::bias(&bias),
            Epilogue { activation: Some(Activation::Gelu), ..Epilogue::bias(&bias) },
            Epilogue { residual: Some(&rest), ..Epilogue::bias(&bias) },
        ] {
            cells.push(rate(m, k, n) / best(|| product_packed(&mut y, (0, n), x, &packed, &e)));
        }
        let cells: Vec<String> = cells.iter().map(|c| format!("{c:.0}")).collect();
        println!("| {m} × {k} × {n} | {} |", cells.join(" | "));
    }
}

/// The `gemm` crate on row-major matrices, each factor with its steps along columns and rows.
fn gemm(out: &mut [f32], (m, k, n): (usize, usize, usize), a: (&[f32], usize, usize), b: (&[f32], usize, usize)) {
    assert!(out.len() >= m * n && a.0.len() >= m * k && b.0.len() >= k * n);
    // SAFETY: the steps cover m × k, k × n and m × n numbers, as many as the slices have.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            false,
            a.0.as_ptr(),
            a.1 as isize,
            a.2 as isize,
            b.0.as_ptr(),
            b.1 as isize,
            b.2 as isize,
            0.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Billions of multiplications and additions.
fn rate(m: usize, k: usize, n: usize) -> f64 {
    2e-9 * (m * k * n) as f64
}

/// Between −1 and 1.
fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i.wrapping_mul(2_654_435_761) >> 16 & 0xff) as f32 / 128.0 - 1.0).collect()
}

/// Seconds of a run, of the fastest lot in some tenths of a second. A lot takes some milliseconds: a thread's clock
/// is put right now and then, and one run of microseconds may seem to have taken none.
fn best(mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    run();
    let lot = (3e-3 / start.elapsed().as_secs_f64()).clamp(1.0, 1e4) as usize;
    let mut best = f64::MAX;
    let begin = Instant::now();
    while begin.elapsed().as_secs_f64() < 0.4 {
        let start = seconds();
        (0..lot).for_each(|_| run());
        best = best.min((seconds() - start) / lot as f64);
    }
    best
}

/// This thread's processor time; by the clock where the system does not say.
fn seconds() -> f64 {
    #[cfg(unix)]
    {
        let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the structure is ours, and what the call fills.
        if unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut t) } == 0 {
            return t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9;
        }
    }
    static BEGUN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    BEGUN.get_or_init(Instant::now).elapsed().as_secs_f64()
}
