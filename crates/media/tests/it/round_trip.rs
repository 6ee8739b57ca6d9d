//! What we write, we read: frames, times, and the shortest way to each.

use domain::{Sampling, Span};

use crate::{limits, psnr, rolling};

fn written(frames: &[media::Frame], fps: f64) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clip.mp4");
    let mut clip = media::Mp4Writer::create(&path, frames[0].width, frames[0].height, fps).unwrap();
    frames.iter().for_each(|f| clip.push(f).unwrap());
    clip.finish().unwrap();
    (dir, path)
}

#[test]
fn frames_and_times_come_back() {
    for fps in [12.0, 24.0, 30_000.0 / 1001.0, 7.3, 1.0] {
        let frames = rolling(96, 64, 40);
        let (_dir, path) = written(&frames, fps);
        let file = media::open(&path, &limits()).unwrap();
        let info = file.info();
        assert_eq!((info.width, info.height, info.frames), (96, 64, 40));
        assert_eq!(info.codec, "H.264 Constrained Baseline");
        assert!((info.fps.unwrap() - fps).abs() < 1e-3);
        let all: Vec<usize> = (0..40).collect();
        let back = file.frames(&all).unwrap();
        for (i, (got, want)) in back.frames.iter().zip(&frames).enumerate() {
            let db = psnr(got, want);
            // Colour at half resolution costs most of it, at the ball's edge.
            assert!(db > 29.0, "frame {i}: {db} dB");
            assert!((back.times_secs[i] - i as f64 / fps).abs() < 1e-3);
        }
    }
}

#[test]
fn a_frame_alone_is_the_frame_among_all() {
    let frames = rolling(64, 48, 60);
    let (_dir, path) = written(&frames, 10.0);
    let file = media::open(&path, &limits()).unwrap();
    let all = file.frames(&(0..60).collect::<Vec<_>>()).unwrap();
    for wanted in [vec![0], vec![59], vec![9, 10], vec![3, 35, 36, 58], vec![30]] {
        let some = file.frames(&wanted).unwrap();
        for (got, i) in some.frames.iter().zip(&wanted) {
            assert!(*got == all.frames[*i], "frame {i} of {wanted:?}");
        }
    }
    assert!(file.frames(&[3, 2]).is_err());
    assert!(file.frames(&[60]).is_err());
}

#[test]
fn b_frames_alone_too() {
    let Some(zoo) = crate::shared("codec_zoo/ok") else { return };
    for name in ["h264_high_bframes.mp4", "h264_fragmented.mp4", "h264_vfr.mp4"] {
        let file = media::open(&zoo.join(name), &limits()).unwrap();
        let all: Vec<usize> = (0..file.info().frames).collect();
        let together = file.frames(&all).unwrap();
        for i in all {
            assert!(file.frames(&[i]).unwrap().frames[0] == together.frames[i], "{name} frame {i}");
        }
    }
}

#[test]
fn spans() {
    let (_dir, path) = written(&rolling(64, 48, 30), 10.0);
    let file = media::open(&path, &limits()).unwrap();
    let times = |start_secs, end_secs| {
        file.sample(&Sampling::Uniform(100), Some(Span { start_secs, end_secs })).map(|c| c.times_secs)
    };
    assert_eq!(times(1.0, 1.3).unwrap(), [1.0, 1.1, 1.2]);
    assert_eq!(times(2.8, 99.0).unwrap(), [2.8, 2.9]);
    // Between two frames the one on screen counts.
    assert_eq!(times(1.02, 1.05).unwrap(), [1.0]);
    assert_eq!(times(2.95, 2.99).unwrap(), [2.9]);
    for (a, b) in [(3.0, 4.0), (2.0, 1.0), (f64::NAN, 1.0), (-2.0, -1.0)] {
        assert_eq!(times(a, b).unwrap_err().code(), "bad_request");
    }
    assert_eq!(file.sample(&Sampling::Middle, None).unwrap().times_secs, [1.5]);
    assert_eq!(file.sample(&Sampling::Every(1.0), None).unwrap().times_secs, [0.0, 1.0, 2.0]);
}

#[test]
fn turned_by_the_matrix() {
    let frames = rolling(64, 48, 3);
    let (_dir, path) = written(&frames, 10.0);
    let straight = media::open(&path, &limits()).unwrap().frames(&[0]).unwrap().frames.remove(0);
    let bytes = std::fs::read(&path).unwrap();
    // The track header's matrix: 40 bytes after its version and flags.
    let matrix = bytes.windows(4).position(|w| w == b"tkhd").unwrap() + 4 + 40;
    let one = |v: i32| (v << 16).to_be_bytes();
    // (a, b, c, d), and where the pixel (x, y) of the upright frame comes from.
    type From = fn(u32, u32) -> (u32, u32);
    let cases: [([i32; 4], From); 4] = [
        ([0, 1, -1, 0], |x, y| (y, 47 - x)),
        ([-1, 0, 0, -1], |x, y| (63 - x, 47 - y)),
        ([0, -1, 1, 0], |x, y| (63 - y, x)),
        ([-1, 0, 0, 1], |x, y| (63 - x, y)),
    ];
    for ([a, b, c, d], from) in cases {
        let mut turned = bytes.clone();
        for (slot, v) in [(0, a), (1, b), (3, c), (4, d)] {
            turned[matrix + 4 * slot..matrix + 4 * slot + 4].copy_from_slice(&one(v));
        }
        std::fs::write(&path, &turned).unwrap();
        let file = media::open(&path, &limits()).unwrap();
        let frame = file.frames(&[0]).unwrap().frames.remove(0);
        assert_eq!((file.info().width, file.info().height), (frame.width, frame.height));
        for y in 0..frame.height {
            for x in 0..frame.width {
                let (fx, fy) = from(x, y);
                let at = |f: &media::Frame, x: u32, y: u32| f.rgb[((y * f.width + x) * 3) as usize..][..3].to_vec();
                assert_eq!(at(&frame, x, y), at(&straight, fx, fy), "{a} {b} {c} {d} at {x},{y}");
            }
        }
    }
}

#[test]
fn others_can_read_it() {
    let Some(ffmpeg) = media::ffmpeg() else { return eprintln!("skipped: no ffmpeg") };
    let (_dir, path) = written(&rolling(96, 64, 40), 24.0);
    let out = std::process::Command::new(ffmpeg)
        .args(["-v", "warning", "-xerror", "-i"])
        .arg(&path)
        .args(["-f", "framemd5", "-"])
        .output()
        .unwrap();
    assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(text.lines().filter(|l| !l.starts_with('#')).count(), 40);
}
