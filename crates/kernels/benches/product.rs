//! Products at the shapes of training and of answering, against the `gemm` crate.
use kernels::*;
use std::time::Instant;

fn cpu() -> f64 {
    let mut t = Timespec { s: 0, n: 0 };
    unsafe extern "C" {
        fn clock_gettime(id: i32, t: *mut Timespec) -> i32;
    }
    #[repr(C)]
    struct Timespec {
        s: i64,
        n: i64,
    }
    unsafe {
        clock_gettime(3, &mut t);
    }
    t.s as f64 + t.n as f64 * 1e-9
}
fn best(mut f: impl FnMut()) -> f64 {
    f();
    let mut best = f64::MAX;
    let begin = Instant::now();
    while begin.elapsed().as_secs_f64() < 0.4 {
        let t = cpu();
        f();
        best = best.min(cpu() - t);
    }
    best
}
fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().unwrap();
    pool.install(|| {
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
            let r = |n: usize| {
                (0..n).map(|i| (i.wrapping_mul(2654435761) >> 16 & 0xff) as f32 / 128.0 - 1.0).collect::<Vec<f32>>()
            };
            let (x, w, dy) = (r(m * k), r(k * n), r(m * n));
            let (mut y, mut dx, mut dw) = (vec![0.0; m * n], vec![0.0; m * k], vec![0.0; k * n]);
            let g = 2e-9 * (m * k * n) as f64;
            let mut line = format!("{m}x{k}x{n}:");
            for p in [Precision::F32, Precision::Bf16] {
                let e = Epilogue::default();
                let a = best(|| product(&mut y, (0, n), Mat::dense(&x, m, k), Mat::dense(&w, k, n), p, &e));
                let b = best(|| product(&mut dx, (0, k), Mat::dense(&dy, m, n), Mat::dense(&w, k, n).t(), p, &e));
                let c = best(|| product(&mut dw, (0, n), Mat::dense(&x, m, k).t(), Mat::dense(&dy, m, n), p, &e));
                line += &format!(" {p:?} y {:.0} dx {:.0} dw {:.0}", g / a, g / b, g / c);
            }
            let gm = |out: &mut [f32],
                      m: usize,
                      n: usize,
                      k: usize,
                      a: &[f32],
                      (ac, ar): (isize, isize),
                      b: &[f32],
                      (bc, br): (isize, isize)| unsafe {
                gemm::gemm(
                    m,
                    n,
                    k,
                    out.as_mut_ptr(),
                    1,
                    n as isize,
                    false,
                    a.as_ptr(),
                    ac,
                    ar,
                    b.as_ptr(),
                    bc,
                    br,
                    0.0f32,
                    1.0f32,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                )
            };
            let a = best(|| gm(&mut y, m, n, k, &x, (1, k as isize), &w, (1, n as isize)));
            let b = best(|| gm(&mut dx, m, k, n, &dy, (1, n as isize), &w, (n as isize, 1)));
            let c = best(|| gm(&mut dw, k, n, m, &x, (k as isize, 1), &dy, (1, n as isize)));
            println!("{line} gemm y {:.0} dx {:.0} dw {:.0}", g / a, g / b, g / c);
        }
        // Frozen layers that one picture or one question goes through.
        for (m, k, n) in
            [(32, 768, 768), (50, 768, 2304), (50, 3072, 768), (257, 1408, 4224), (257, 6144, 1408), (2056, 1408, 4224)]
        {
            let r = |n: usize| (0..n).map(|i| (i * 31 % 201) as f32 * 0.01 - 1.0).collect::<Vec<f32>>();
            let (x, w, mut y) = (r(m * k), r(k * n), vec![0.0; m * n]);
            let g = 2e-9 * (m * k * n) as f64;
            let mut line = format!("{m}x{k}x{n} packed once:");
            let w = Mat::dense(&w, k, n);
            let e = Epilogue::default();
            let t = best(|| product(&mut y, (0, n), Mat::dense(&x, m, k), w, Precision::F32, &e));
            line += &format!(" never {:.0}", g / t);
            let (f32, bf16) = (Packed::new(w, Precision::F32), Packed::new(w, Precision::Bf16));
            for (name, packed) in [("f32", f32), ("bf16", bf16), ("int8", Packed::int8(w))] {
                let t = best(|| product_packed(&mut y, (0, n), Mat::dense(&x, m, k), &packed, &e));
                line += &format!(" {name} {:.0}", g / t);
            }
            let bias = vec![0.1; n];
            let rest = r(m * n);
            let bf16 = Packed::new(w, Precision::Bf16);
            for (name, e) in [
                ("bias", Epilogue::bias(&bias)),
                ("gelu", Epilogue { activation: Some(Activation::Gelu), ..Epilogue::bias(&bias) }),
                ("onto", Epilogue { residual: Some(&rest), ..Epilogue::bias(&bias) }),
            ] {
                let t = best(|| product_packed(&mut y, (0, n), Mat::dense(&x, m, k), &bf16, &e));
                line += &format!(" {name} {:.0}", g / t);
            }
            println!("{line}");
        }
    });
}
