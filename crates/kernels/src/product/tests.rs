//! Every path against a slow twin in f64, over many shapes.

use super::*;
use crate::Activation;
use crate::cpu::forced;
use crate::twin::{self, Random, shapes};

/// `Σ a·b` and `Σ |a·b|` of each number of the output.
fn sums(a: Mat<'_>, b: Mat<'_>) -> Vec<(f64, f64)> {
    let mut out = Vec::new();
    for r in 0..a.rows {
        for c in 0..b.cols {
            let (mut sum, mut size) = (0.0, 0.0);
            for k in 0..a.cols {
                let x = f64::from(a.data[a.at(r, k)]) * f64::from(b.data[b.at(k, c)]);
                sum += x;
                size += x.abs();
            }
            out.push((sum, size));
        }
    }
    out
}

/// How far a sum may be off: each of the factors' roundings, and one for each addition.
fn bound(precision: Precision, k: usize, size: f64) -> f64 {
    let factors = if precision == Precision::Bf16 { 2f64.powi(-7) + 2f64.powi(-16) } else { 0.0 };
    size * (factors + (k + 2) as f64 * 2f64.powi(-23)) + 1e-30
}

fn check(random: &mut Random, (m, k, n): (usize, usize, usize)) {
    let (turn_a, turn_b, gap) = (random.below(2) == 0, random.below(2) == 0, random.below(3));
    let data = |random: &mut Random, rows: usize, cols: usize| random.normals(5 + rows * (cols + gap));
    let (da, db) = (data(random, m.max(k), m.max(k)), data(random, n.max(k), n.max(k)));
    let window = |d, rows, cols, turn: bool| {
        if turn { Mat::strided(d, 3, cols, rows, rows + gap).t() } else { Mat::strided(d, 3, rows, cols, cols + gap) }
    };
    let (a, b) = (window(&da, m, k, turn_a), window(&db, k, n, turn_b));
    let want = sums(a, b);
    let (bias, residual) = (random.normals(n), random.normals(7 + m * (n + gap)));
    let epilogue = Epilogue {
        scale: [1.0, 0.25][random.below(2)],
        bias: (random.below(2) == 0).then_some(&bias),
        activation: [None, Some(Activation::Gelu), Some(Activation::QuickGelu), Some(Activation::GeluTanh)]
            [random.below(4)],
        residual: (random.below(2) == 0).then_some(&residual),
    };
    for path in Path::all() {
        for precision in [Precision::F32, Precision::Bf16] {
            let mut out = vec![7.5f32; 7 + m * (n + gap)];
            forced(*path, || product(&mut out, (2, n + gap), a, b, precision, &epilogue));
            let mut seen = out.clone();
            for r in 0..m {
                for c in 0..n {
                    let (sum, size) = want[r * n + c];
                    let scale = f64::from(epilogue.scale);
                    let mut value = sum * scale + epilogue.bias.map_or(0.0, |b| f64::from(b[c]));
                    let mut off = bound(precision, k, size) * scale + value.abs() * 1e-6;
                    if let Some(kind) = epilogue.activation {
                        // Steepest where it is 1.13.
                        (value, off) = (twin::activation(kind, value), off * 1.13 + value.abs() * 2e-6);
                    }
                    let at = 2 + r * (n + gap) + c;
                    value += epilogue.residual.map_or(0.0, |x| f64::from(x[at]));
                    off += value.abs() * 1e-6 + 1e-6;
                    assert!(
                        (f64::from(out[at]) - value).abs() <= off,
                        "{} {precision:?} {m}×{k}×{n} turned {turn_a} {turn_b}: {} at ({r}, {c}), not {value} ± {off}",
                        path.name(),
                        out[at],
                    );
                    seen[at] = 7.5;
                }
            }
            assert!(seen.iter().all(|x| *x == 7.5), "{} wrote beyond its window", path.name());
        }
    }
}

/// A product of bytes is off by half a step of each factor for each pair; the right one's steps are [`most_byte`]'s.
fn check_packed(random: &mut Random, (m, k, n): (usize, usize, usize)) {
    let (a, b) = (random.normals(m * k), random.normals(n * k));
    let turned = random.below(2) == 0;
    let right = if turned { Mat::dense(&b, n, k).t() } else { Mat::dense(&b, k, n) };
    let left = Mat::dense(&a, m, k);
    let want = sums(left, right);
    let (bias, residual) = (random.normals(n), random.normals(m * n));
    let e = Epilogue { bias: Some(&bias), residual: Some(&residual), ..Epilogue::default() };
    let most = |x: f32, y: f32| x.max(y.abs());
    for path in Path::all() {
        for kind in [Kind::F32, Kind::Bf16, Kind::Int8] {
            let packed = Packed::on(*path, right, kind);
            let mut out = vec![0.0; m * n];
            product_packed(&mut out, (0, n), left, &packed, &e);
            for r in 0..m {
                for c in 0..n {
                    let (sum, size) = want[r * n + c];
                    let value = sum + f64::from(bias[c] + residual[r * n + c]);
                    let off = if kind == Kind::Int8 {
                        let row = f64::from(a[r * k..][..k].iter().fold(0.0, |m, x| most(m, *x)));
                        let col = f64::from((0..k).map(|i| right.data[right.at(i, c)]).fold(0.0, most));
                        // |a·b − a'·b'| ≤ |a|·step/2 + |b'|·step/2, and the sums' own roundings.
                        let (sum_a, sum_b) = (0..k).fold((0.0, 0.0), |(x, y), i| {
                            (x + f64::from(a[r * k + i].abs()), y + f64::from(right.data[right.at(i, c)].abs()))
                        });
                        let (step_a, step_b) = (row / 127.0, col / f64::from(most_byte(*path)));
                        let steps = (sum_a * step_b + sum_b * step_a) / 2.0 + k as f64 * step_a * step_b / 4.0;
                        steps * 1.001 + k as f64 * row * col * 2.0 * 1e-6
                    } else {
                        bound(if kind == Kind::Bf16 { Precision::Bf16 } else { Precision::F32 }, k, size)
                    };
                    let off = off + value.abs() * 1e-6 + 1e-6;
                    let got = f64::from(out[r * n + c]);
                    assert!(
                        (got - value).abs() <= off,
                        "{} {kind:?} {m}×{k}×{n} turned {turned}: {got} at ({r}, {c}), not {value} ± {off}",
                        path.name()
                    );
                }
            }
        }
    }
}

#[test]
fn what_was_packed_once_agrees_with_f64_bytes_too() {
    let mut random = Random(4);
    for _ in 0..shapes(10_000) {
        let shape = (random.below(20), random.below(40), random.below(40));
        check_packed(&mut random, shape);
    }
    // More than a block of k in any numbers, and of rows.
    for shape in [(1, 3000, 40), (300, 50, 33), (80, 7000, 35), (30, 1030, 70)] {
        check_packed(&mut random, shape);
    }
    // Few rows, cut across: the left factor is packed before the pieces.
    for shape in [(13, 7000, 230), (150, 3300, 410), (100, 300, 1000)] {
        check_packed(&mut random, shape);
    }
}

#[test]
fn the_largest_bytes_do_not_saturate() {
    let (m, k, n) = (7, 50, 18);
    for (a, b) in [(2.0, 3.0), (2.0, -3.0), (-2.0, 3.0), (-2.0, -3.0)] {
        let (left, right) = (vec![a; m * k], vec![b; k * n]);
        for path in Path::all() {
            let packed = Packed::on(*path, Mat::dense(&right, k, n), Kind::Int8);
            let mut out = vec![0.0; m * n];
            product_packed(&mut out, (0, n), Mat::dense(&left, m, k), &packed, &Epilogue::default());
            let want = a * b * k as f32;
            let off = out.iter().fold(0.0f32, |most, x| most.max((x - want).abs()));
            assert!(off <= 1e-5 * want.abs(), "{}: {off} from {want}", path.name());
        }
    }
}

/// A path takes the better of two where both are there: the other is asked for here.
#[cfg(target_arch = "x86_64")]
#[test]
fn bytes_without_an_instruction_for_them_and_with_it_are_the_same() {
    let mut random = Random(5);
    let word = |random: &mut Random| random.below(1 << 16) as u32 | (random.below(1 << 16) as u32) << 16;
    for _ in 0..shapes(1000) {
        let (words, rows, cols) = (random.below(40), 1 + random.below(4), 1 + random.below(16));
        let a: Vec<u32> = (0..ROW_WORDS * 7).map(|_| word(&mut random)).collect();
        // As many as there are, or as few as where no instruction multiplies them.
        let few = random.below(2) == 0;
        let byte = |random: &mut Random| {
            if few { (random.below(129) as i8).wrapping_sub(64) as u8 } else { random.below(256) as u8 }
        };
        let b: Vec<u32> =
            (0..16 * words).map(|_| u32::from_le_bytes(std::array::from_fn(|_| byte(&mut random)))).collect();
        let run = |tile: unsafe fn(micro::Order, *const u32, Panel, usize, micro::Soon, (usize, usize), *mut f32)| {
            let mut out = vec![0.0; 6 * 16];
            let (a, b) = (a.as_ptr(), b.as_ptr());
            let soon = micro::Soon::share(b, words * 16, words, (0, 1));
            // SAFETY: seven rows, `words` times a panel of sixteen, the largest tile; the instructions were asked for.
            unsafe { tile(micro::Order::Rows, a, Panel::Words(b), words, soon, (rows, cols), out.as_mut_ptr()) };
            (0..rows * 16).filter(|i| i % 16 < cols).map(|i| out[i]).collect::<Vec<f32>>()
        };
        let plain = run(micro::PortableInt8::run);
        if Path::all().contains(&Path::Avx2) {
            if few {
                assert_eq!(plain, run(micro::Avx2Int8::run), "{rows} × {words} × {cols}");
            }
            if Path::Avx2.multiplies_bytes() {
                assert_eq!(plain, run(micro::Avx2Vnni::run), "{rows} × {words} × {cols}");
            }
        }
    }
}

#[test]
fn every_path_agrees_with_f64_on_ten_thousand_shapes() {
    let mut random = Random(1);
    for i in 0..shapes(10_000) {
        let most = if i % 10 == 0 { 50 } else { 18 };
        let shape = (random.below(most), random.below(most), random.below(most));
        check(&mut random, shape);
    }
}

#[test]
fn every_path_agrees_with_f64_on_long_and_wide_shapes() {
    let mut random = Random(2);
    let shapes = [
        (1, 5000, 1),
        (1, 1, 5000),
        (5000, 1, 1),
        (3, 1100, 70),
        (300, 70, 40),
        (270, 600, 33),
        (13, 257, 513),
        (500, 30, 129),
        (150, 3300, 34),
        (80, 3300, 34),
        (70, 3300, 230),
    ];
    shapes.into_iter().for_each(|shape| check(&mut random, shape));
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let mut random = Random(3);
    let (m, k, n) = (517, 3300, 130);
    let (a, b) = (random.normals(m * k), random.normals(k * n));
    for precision in [Precision::F32, Precision::Bf16] {
        for turned in [false, true] {
            let runs: Vec<Vec<f32>> = [1, 2, 5]
                .into_iter()
                .map(|threads| {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                    let mut out = vec![0.0; m * n];
                    let left = if turned { Mat::dense(&a, k, m).t() } else { Mat::dense(&a, m, k) };
                    pool.install(|| {
                        product(&mut out, (0, n), left, Mat::dense(&b, k, n), precision, &Epilogue::default());
                    });
                    out
                })
                .collect();
            assert!(runs[0] == runs[1] && runs[0] == runs[2], "{precision:?} turned {turned}");
        }
    }
}

#[test]
fn what_is_no_number_stays_none() {
    for path in Path::all() {
        for precision in [Precision::F32, Precision::Bf16] {
            for bits in [f32::NAN.to_bits(), 0x7fff_ffff, 0xffff_ffff] {
                let a = [f32::from_bits(bits), 1.0];
                let mut out = [0.0];
                let e = Epilogue::default();
                forced(*path, || {
                    product(&mut out, (0, 1), Mat::dense(&a, 1, 2), Mat::dense(&[1.0, 1.0], 2, 1), precision, &e)
                });
                assert!(out[0].is_nan(), "{} {precision:?}", path.name());
            }
        }
    }
}

#[test]
fn what_a_product_leaves_behind_reaches_no_other() {
    let e = Epilogue::default();
    let (none, ones) = ([f32::NAN; 40], [1.0f32; 40]);
    for path in Path::all() {
        for kind in [Kind::F32, Kind::Bf16] {
            for turned in [false, true] {
                let left = |x, k| if turned { Mat::dense(x, k, 2).t() } else { Mat::dense(x, 2, k) };
                let of = |x, k| {
                    let mut out = [0.0; 4];
                    let right = Packed::on(*path, Mat::dense(&ones, k, 2), kind);
                    product_packed(&mut out, (0, 2), left(x, k), &right, &e);
                    out
                };
                assert!(of(&none, 6).iter().all(|x| x.is_nan()));
                assert_eq!(of(&ones, 5), [5.0; 4], "{} {kind:?} turned {turned}", path.name());
            }
        }
    }
}

/// Halves of random bits, so the smallest ones are among them, beside the same numbers as f32.
fn check_halves(random: &mut Random, (m, k, n): (usize, usize, usize)) {
    let finite = |bits: &u32| bits & 0x7c00 != 0x7c00;
    let mut bits = || std::iter::repeat_with(|| random.below(1 << 16) as u32).find(finite).unwrap_or_default();
    let b: Vec<f32> = (0..k * n).map(|_| half::widened(bits())).collect();
    let (a, bias) = (random.normals(m * k), random.normals(n));
    let (turned_a, turned_b) = (random.below(2) == 0, random.below(2) == 0);
    let left = if turned_a { Mat::dense(&a, k, m).t() } else { Mat::dense(&a, m, k) };
    let right = if turned_b { Mat::dense(&b, n, k).t() } else { Mat::dense(&b, k, n) };
    for path in Path::all() {
        assert!(forced(*path, || Packed::halves(right)).is_some_and(|p| p.kind == Kind::F16), "{k}×{n}");
        let [(all, want), (few, got)] = [Kind::F32, Kind::F16].map(|kind| {
            let packed = Packed::on(*path, right, kind);
            let mut out = vec![0.0f32; m * n];
            product_packed(&mut out, (0, n), left, &packed, &Epilogue::bias(&bias));
            (packed.bytes(), out)
        });
        assert!(got == want, "{} {m}×{k}×{n} turned {turned_a} {turned_b}", path.name());
        assert!(few <= all && (k < 2 || n == 0 || few < all), "{few} bytes of {all}");
    }
}

#[test]
fn halves_say_the_same_to_the_bit() {
    let mut random = Random(6);
    for _ in 0..shapes(10_000) {
        let shape = (random.below(20), random.below(40), random.below(70));
        check_halves(&mut random, shape);
    }
}

#[test]
fn halves_of_long_and_wide_factors_too_and_only_many_are_worth_it() {
    let mut random = Random(7);
    for shape in [(1, 3001, 40), (300, 51, 33), (13, 3300, 230), (150, 1600, 410)] {
        check_halves(&mut random, shape);
    }
    let mut many = vec![0.5; WORTH_HALVING];
    let kind = |b: &[f32]| Packed::new(Mat::dense(b, b.len() / 64, 64), Precision::F32).kind;
    assert!(kind(&many) == Kind::F16 && kind(&many[64..]) == Kind::F32, "few are not worth it");
    many[WORTH_HALVING - 1] = 0.1;
    assert!(kind(&many) == Kind::F32, "a tenth is no half");
}

#[test]
fn bytes_of_what_is_no_number_are_none_either() {
    let ones = [1.0f32; 40];
    let e = Epilogue::default();
    for path in Path::all() {
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 7, 19] {
                let mut some = ones;
                some[at] = odd;
                let mut out = [0.0; 4];
                // Rows, then columns, of which the first has it.
                let right = Packed::on(*path, Mat::dense(&ones, 20, 2), Kind::Int8);
                product_packed(&mut out, (0, 2), Mat::dense(&some, 2, 20), &right, &e);
                assert!(out[0].is_nan() && out[1].is_nan() && (out[2] - 20.0).abs() < 1e-3, "{} {out:?}", path.name());
                let right = Packed::on(*path, Mat::dense(&some, 2, 20).t(), Kind::Int8);
                product_packed(&mut out, (0, 2), Mat::dense(&ones, 2, 20), &right, &e);
                assert!(out[0].is_nan() && out[2].is_nan() && (out[1] - 20.0).abs() < 1e-3, "{} {out:?}", path.name());
            }
        }
    }
}

#[test]
fn windows_larger_than_memory_are_refused() {
    let numbers = [0.0f32; 8];
    let most = usize::MAX;
    for (offset, rows, cols, step) in [(0, 3, 1, most), (most, 2, 1, 1), (2, 2, most, 1), (1, most, 1, 1), (0, 3, 2, 4)]
    {
        let made = std::panic::catch_unwind(|| {
            Mat::strided(&numbers, offset, rows, cols, step);
        });
        assert!(made.is_err(), "{rows} by {cols} at {offset}, {step} apart");
    }
    for (offset, step) in [(0, most), (0, most / 2 + 1), (most, 2), (most - 3, 2), (5, 2)] {
        for precision in [Precision::F32, Precision::Bf16] {
            let made = std::panic::catch_unwind(|| {
                let (mut out, two) = ([0.0; 8], Mat::dense(&numbers, 3, 2));
                product(&mut out, (offset, step), two, Mat::dense(&numbers, 2, 2), precision, &Epilogue::default());
            });
            assert!(made.is_err(), "an output at {offset}, rows {step} apart");
        }
    }
    // One row has no step, whatever it is said to be.
    let (mut out, bias) = ([1.0; 8], [2.0, 3.0]);
    let one = Mat::dense(&numbers, 1, 2);
    product(&mut out, (1, 0), one, Mat::dense(&numbers, 2, 2), Precision::F32, &Epilogue::bias(&bias));
    assert_eq!(out, [1.0, 2.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
}

#[test]
#[should_panic(expected = "does not fit")]
fn a_window_too_large_is_refused() {
    product(
        &mut [0.0; 3],
        (0, 2),
        Mat::dense(&[0.0; 4], 2, 2),
        Mat::dense(&[0.0; 4], 2, 2),
        Precision::F32,
        &Epilogue::default(),
    );
}
