//! Whole views against Pillow's, old manifests, and sizes that someone may have.

use super::*;
use domain::Digest;

/// The pattern of `fixtures/golden/pillow.py`.
fn pattern(w: u32, h: u32) -> Frame {
    let rgb = (0..w * h * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 ^ ((i / 3 % w * 5) as u8)).collect();
    Frame { width: w, height: h, rgb }
}

#[test]
fn views_are_pillows_to_the_byte() {
    let golden = include_str!("../../../../fixtures/golden/pillow.txt");
    let mut checked = 0;
    for line in golden.lines().filter(|l| l.starts_with("view")) {
        let f: Vec<&str> = line.split_whitespace().collect();
        let (w, h, size) = (f[2].parse().unwrap(), f[3].parse().unwrap(), f[4].parse().unwrap());
        let mut frame = pattern(w, h);
        let view = match f[1] {
            "squash" => View::squash(size),
            "centre-crop" => View::centre_crop(size),
            "target-pad-1.25" => View::target_pad(size),
            "pad-square" => View::genecis(size),
            "genecis" => {
                let part = |side: u32, of: f64| (f64::from(side) * of).trunc();
                let thing = [part(w, 0.3), part(h, 0.2), part(w, 0.25) + 1.0, part(h, 0.5) + 1.0];
                frame = Region::genecis(w, h, thing).of(&frame);
                View::genecis(size)
            }
            other => panic!("no view {other}"),
        };
        assert_eq!(Digest::of(&view.look(&frame).rgb).to_string(), f[5], "{line}");
        checked += 1;
    }
    assert_eq!(checked, 50);
}

#[test]
fn views_are_written_and_read_and_old_ones_mean_what_they_meant() {
    let old = r#"{"size":112,"fit":"squash","mean":[0.48145467,0.4578275,0.40821072],"std":[0.26862955,0.2613026,0.2757771]}"#;
    let read: View = serde_json::from_str(old).unwrap();
    assert_eq!(read, View::squash(112));
    assert_eq!(read.to_string(), "squash 112 bicubic clip");
    let old: View = serde_json::from_str(&old.replace("squash", "centre-crop")).unwrap();
    assert_eq!(old, View::centre_crop(112));
    for (view, words) in [
        (View::centre_crop(224), "centre-crop 224 bicubic clip"),
        (View::target_pad(224), "target-pad-1.25 224 bicubic clip"),
        (View { filter: Filter::Bilinear, ..View::genecis(384) }, "pad-square 384 bilinear clip"),
    ] {
        assert_eq!(view.to_string(), words);
        assert_eq!(serde_json::from_str::<View>(&serde_json::to_string(&view).unwrap()).unwrap(), view);
        view.check().unwrap();
    }
    let bad = |v: View| v.check().unwrap_err();
    assert!(bad(View { fit: Fit::TargetPad { ratio: 0.5 }, ..View::squash(9) }).contains("ratio 0.5"));
    assert!(bad(View { fit: Fit::TargetPad { ratio: f64::NAN }, ..View::squash(9) }).contains("NaN"));
    assert!(bad(View { std: [1.0, 0.0, 1.0], ..View::squash(9) }).contains("deviation"));
    assert!(bad(View::squash(0)).contains("size is 0"));
}

#[test]
fn any_shape_is_seen_in_every_way() {
    for (w, h) in [(1, 1), (1, 3000), (3000, 1), (2, 5), (300_000, 2), (2, 300_000), (113, 112)] {
        let frame = Frame::filled(w, h, [200, 100, 50]);
        for view in [View::squash(28), View::centre_crop(28), View::target_pad(28), View::genecis(28)] {
            let seen = view.look(&frame);
            assert_eq!((seen.width, seen.height, seen.rgb.len()), (28, 28, 28 * 28 * 3), "{view} of {w}×{h}");
            if matches!(view.fit, Fit::Squash | Fit::CentreCrop) {
                assert!(seen.rgb.chunks_exact(3).all(|px| px == [200, 100, 50]), "{view} of {w}×{h}");
            }
        }
    }
}

#[test]
fn a_region_is_always_inside() {
    for thing in
        [[-5.0, -5.0, 2.0, 2.0], [1e9, 1e9, 5.0, 5.0], [3.0, 3.0, 0.0, 0.0], [f64::NAN; 4], [0.0, 0.0, 1e9, 1e9]]
    {
        let region = Region::genecis(10, 7, thing);
        assert!(region.width >= 1 && region.height >= 1, "{thing:?}: {region:?}");
        assert!(region.left + region.width <= 10 && region.top + region.height <= 7, "{thing:?}: {region:?}");
    }
}
