//! Products of matrices of any shape, gap and numbers, on every path: what lies around the output stays as it was,
//! and what is written is what a slow twin says.

#![no_main]

use kernels::{Activation, Epilogue, Mat, Packed, Path, Precision, product_on, product_packed};
use libfuzzer_sys::fuzz_target;

/// What stands where nothing is to be written.
const UNTOUCHED: f32 = 7.5;

fuzz_target!(|bytes: &[u8]| {
    let Some((head, rest)) = bytes.split_first_chunk::<8>() else { return };
    let [m, k, n, offset, gap_a, gap_b, gap_out, flags] = head.map(usize::from);
    let (gap_a, gap_b, gap_out) = (gap_a % 40, gap_b % 40, gap_out % 40);
    let flag = |bit: usize| flags >> bit & 1 == 1;
    let numbers: Vec<f32> = rest.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    if numbers.is_empty() {
        return;
    }
    let take =
        |len: usize, from: usize| -> Vec<f32> { (0..len).map(|i| numbers[(i + from) % numbers.len()]).collect() };
    // Rows and columns exchanged or not, each with its gap, each some way into its slice.
    let shape = |rows: usize, cols: usize, turned: bool| if turned { (cols, rows) } else { (rows, cols) };
    let ((ar, ac), (br, bc)) = (shape(m, k, flag(0)), shape(k, n, flag(1)));
    let (da, mut db) = (take(offset + ar * (ac + gap_a), 0), take(offset + br * (bc + gap_b), 3));
    if flag(5) {
        // Halves, for which there is a packing of its own: what has few digits, and is neither large nor small.
        let half = |x: f32| if (1e-4..6e4).contains(&x.abs()) { f32::from_bits(x.to_bits() & !0x1fff) } else { 0.0 };
        db.iter_mut().for_each(|x| *x = half(*x));
    }
    let a = Mat::strided(&da, offset, ar, ac, ac + gap_a);
    let b = Mat::strided(&db, offset, br, bc, bc + gap_b);
    let (a, b) = (if flag(0) { a.t() } else { a }, if flag(1) { b.t() } else { b });
    let at_a =
        |r: usize, i: usize| f64::from(da[offset + if flag(0) { i * (ac + gap_a) + r } else { r * (ac + gap_a) + i }]);
    let at_b =
        |i: usize, c: usize| f64::from(db[offset + if flag(1) { c * (bc + gap_b) + i } else { i * (bc + gap_b) + c }]);

    let step = n + gap_out;
    let room = offset + m * step;
    let (bias, residual) = (take(n, 5), take(room, 7));
    let epilogue = Epilogue {
        scale: 1.0,
        bias: flag(2).then_some(&bias[..]),
        activation: flag(3).then_some(Activation::Gelu),
        residual: flag(4).then_some(&residual[..]),
    };
    let outside = |out: &[f32]| {
        out.iter().enumerate().all(|(i, v)| {
            let inside = n > 0 && i >= offset && (i - offset) % step < n;
            inside || v.to_bits() == UNTOUCHED.to_bits()
        })
    };
    let right = |who: &str, out: &[f32], rounding: f64| {
        assert!(outside(out), "{who} wrote beside its window");
        if flag(3) {
            return;
        }
        for (r, c) in (0..m).flat_map(|r| (0..n).map(move |c| (r, c))) {
            let at = offset + r * step + c;
            let added = [flag(2).then(|| bias[c]), flag(4).then(|| residual[at])];
            let added: f64 = added.into_iter().flatten().map(f64::from).sum();
            // Numbers so large or so small that a float's range ends have no bound.
            let fit = |x: f64| x == 0.0 || (1e-12..1e12).contains(&x.abs());
            if !fit(added) || !(0..k).all(|i| fit(at_a(r, i)) && fit(at_b(i, c))) {
                continue;
            }
            let (sum, size) =
                (0..k).map(|i| at_a(r, i) * at_b(i, c)).fold((0.0, 0.0), |(s, z), x| (s + x, z + x.abs()));
            let bound = size * (rounding + (k + 2) as f64 * 2f64.powi(-23)) + (added.abs() + size) * 1e-6 + 1e-30;
            let got = f64::from(out[at]);
            assert!((got - sum - added).abs() <= bound, "{who} {m}×{k}×{n}: {got} at ({r}, {c}), not {}", sum + added);
        }
    };
    for (precision, rounding) in [(Precision::F32, 0.0), (Precision::Bf16, 2f64.powi(-7) + 2f64.powi(-16))] {
        for path in Path::all() {
            let mut out = vec![UNTOUCHED; room];
            product_on(*path, &mut out, (offset, step), a, b, precision, &epilogue);
            right(&format!("{} {precision:?}", path.name()), &out, rounding);
        }
        let mut out = vec![UNTOUCHED; room];
        product_packed(&mut out, (offset, step), a, &Packed::new(b, precision), &epilogue);
        right(&format!("packed {precision:?}"), &out, rounding);
    }
    let halves = Packed::halves(b);
    assert!(halves.is_some() || !flag(5), "halves that were not known as such");
    if let Some(packed) = halves {
        let mut out = vec![UNTOUCHED; room];
        product_packed(&mut out, (offset, step), a, &packed, &epilogue);
        right("halves", &out, 0.0);
    }
    // Bytes, on the path that is chosen.
    if !flag(0) {
        let packed = Packed::int8(b);
        let mut out = vec![UNTOUCHED; room];
        product_packed(&mut out, (offset, step), a, &packed, &Epilogue { activation: None, ..epilogue });
        assert!(outside(&out), "bytes wrote beside their window");
        for (r, c) in (0..m).flat_map(|r| (0..n).map(move |c| (r, c))) {
            if (0..k).any(|i| !at_a(r, i).is_finite() || !at_b(i, c).is_finite()) {
                assert!(out[offset + r * step + c].is_nan(), "bytes made a number of what is none at ({r}, {c})");
            }
        }
    }
});
