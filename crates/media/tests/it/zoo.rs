//! Real files in every codec, good and broken, against ffmpeg's digests.

use std::path::Path;

use domain::{Kind, Sampling};
use md5::{Digest as _, Md5};

use crate::{limits, psnr, shared};

/// Digests of the frames, as `ffmpeg -f framemd5` writes them.
fn digests(zoo: &Path, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(zoo.join("gt").join(format!("{name}.framemd5"))).unwrap();
    let lines = text.lines().filter(|l| !l.starts_with('#'));
    lines.map(|l| l.rsplit(',').next().unwrap().trim().to_owned()).collect()
}

fn md5<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Md5::new();
    parts.into_iter().for_each(|p| hash.update(p));
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// What the crate decodes by itself; everything else needs ffmpeg.
const OURS: [&str; 13] = [
    "anim.apng",
    "anim.gif",
    "anim.webp",
    "h264_1frame.mp4",
    "h264_aac_audio.mp4",
    "h264_baseline.mp4",
    "h264_faststart.mp4",
    "h264_fragmented.mp4",
    "h264_high_bframes.mp4",
    "h264_intra.mov",
    "h264_rot90.mp4",
    "h264_sar_2_1.mp4",
    "h264_vfr.mp4",
];

#[test]
fn every_good_file_gives_all_its_frames_or_says_what_it_needs() {
    let Some(zoo) = shared("codec_zoo") else { return };
    let mut seen = 0;
    for entry in std::fs::read_dir(zoo.join("ok")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        seen += 1;
        let opened = media::open(&path, &limits());
        if !OURS.contains(&name.as_str()) && media::ffmpeg().is_none() {
            let error = opened.unwrap_err();
            assert_eq!(error.code(), "needs_ffmpeg", "{name}");
            assert!(error.to_string().ends_with("needs ffmpeg on the PATH"), "{error}");
            continue;
        }
        let file = opened.unwrap_or_else(|e| panic!("{name}: {e}"));
        let info = file.info();
        assert_eq!(info.kind, Kind::Clip, "{name}");
        // ffmpeg cannot read animated WebP, so there is no truth for it.
        let truth = if name == "anim.webp" { 22 } else { digests(&zoo, &name).len() };
        assert_eq!(info.frames, truth, "{name}");
        let clip = file.sample(&Sampling::Uniform(5), None).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(clip.frames.len(), truth.min(5), "{name}");
        assert!(clip.frames.iter().all(|f| (f.width, f.height) == (info.width, info.height)), "{name}");
        assert!(clip.times_secs.windows(2).all(|w| w[0] < w[1]), "{name}: {:?}", clip.times_secs);
        let span = domain::Span { start_secs: 0.4, end_secs: 0.6 };
        if info.duration_secs.unwrap() > 0.5 {
            let some = file.sample(&Sampling::Every(0.01), Some(span)).unwrap();
            assert!(!some.frames.is_empty() && some.times_secs.iter().all(|t| (0.35..0.6).contains(t)), "{name}");
        }
    }
    assert_eq!(seen, 46);
}

#[test]
fn without_ffmpeg() {
    crate::again(
        "zoo::every_good_file_gives_all_its_frames_or_says_what_it_needs",
        &[("LIKEBUT_FFMPEG", "off".as_ref())],
    );
    crate::again("zoo::broken_files_say_what_is_wrong", &[("LIKEBUT_FFMPEG", "off".as_ref())]);
}

#[test]
fn our_h264_is_bit_exact() {
    let Some(zoo) = shared("codec_zoo") else { return };
    for name in OURS.iter().filter(|n| n.starts_with("h264")) {
        // The digests of this one are of turned frames; what is turned is tested elsewhere.
        let name_of_digests = if *name == "h264_rot90.mp4" { "h264_faststart.mp4" } else { name };
        let planes = media::decoded_planes(&zoo.join("ok").join(name), &limits()).unwrap().expect("decoded here");
        let got: Vec<String> = planes.iter().map(|p| md5(p.iter().map(|p| &p[..]))).collect();
        assert_eq!(got, digests(&zoo, name_of_digests), "{name}");
    }
}

#[test]
fn animations_are_exact() {
    let Some(zoo) = shared("codec_zoo") else { return };
    for (name, with_alpha) in [("anim.apng", false), ("anim.gif", true)] {
        let file = media::open(&zoo.join("ok").join(name), &limits()).unwrap();
        let all: Vec<usize> = (0..file.info().frames).collect();
        let got: Vec<String> = file
            .frames(&all)
            .unwrap()
            .frames
            .iter()
            .map(|f| {
                let bgra: Vec<u8> = f.rgb.chunks(3).flat_map(|p| [p[2], p[1], p[0], 255]).collect();
                if with_alpha { md5([&bgra[..]]) } else { md5([&f.rgb[..]]) }
            })
            .collect();
        assert_eq!(got, digests(&zoo, name), "{name}");
    }
}

#[test]
fn a_turned_clip_is_the_upright_one_turned() {
    let Some(zoo) = shared("codec_zoo") else { return };
    let one = |name: &str| {
        let file = media::open(&zoo.join("ok").join(name), &limits()).unwrap();
        file.frames(&[7]).unwrap().frames.remove(0)
    };
    let (straight, turned) = (one("h264_faststart.mp4"), one("h264_rot90.mp4"));
    assert_eq!((straight.width, straight.height), (turned.height, turned.width));
    let at = |f: &media::Frame, x: u32, y: u32| {
        let i = ((y * f.width + x) * 3) as usize;
        [f.rgb[i], f.rgb[i + 1], f.rgb[i + 2]]
    };
    // ffmpeg, which is the truth here, shows this file a quarter turn to the left.
    for (x, y) in [(0, 0), (100, 20), (255, 143)] {
        assert_eq!(at(&straight, x, y), at(&turned, y, straight.width - 1 - x));
    }
}

#[test]
fn times_follow_the_clip_where_the_rate_varies() {
    let Some(zoo) = shared("codec_zoo") else { return };
    let file = media::open(&zoo.join("ok/h264_vfr.mp4"), &limits()).unwrap();
    let text = std::fs::read_to_string(zoo.join("gt/h264_vfr.mp4.framemd5")).unwrap();
    let timebase: f64 = {
        let line = text.lines().find_map(|l| l.strip_prefix("#tb 0: ")).unwrap();
        let (n, d) = line.split_once('/').unwrap();
        n.parse::<f64>().unwrap() / d.parse::<f64>().unwrap()
    };
    let lines = text.lines().filter(|l| !l.starts_with('#'));
    let truth: Vec<f64> =
        lines.map(|l| l.split(',').nth(2).unwrap().trim().parse::<f64>().unwrap() * timebase).collect();
    assert_eq!(file.times_secs().len(), truth.len());
    for (got, want) in file.times_secs().iter().zip(&truth) {
        assert!((got - want).abs() < 1e-3, "{:?} {truth:?}", file.times_secs());
    }
}

#[test]
fn our_colours_are_ffmpegs_colours() {
    let (Some(zoo), Some(videos)) = (shared("codec_zoo"), shared("videos")) else { return };
    let Some(ffmpeg) = media::ffmpeg() else { return eprintln!("skipped: no ffmpeg") };
    // Nothing said (BT.601), BT.709 in full range, BT.470BG, BT.709.
    for path in [
        zoo.join("ok/h264_high_bframes.mp4"),
        videos.join("torchcodec_bt709_full_range.mp4"),
        videos.join("sam2_bedroom.mp4"),
    ] {
        let file = media::open(&path, &limits()).unwrap();
        let (w, h) = (file.info().width, file.info().height);
        let ours = file.frames(&[3]).unwrap().frames.remove(0);
        let filter = format!("select=eq(n\\,3),scale={w}:{h}:flags=lanczos+accurate_rnd+full_chroma_int");
        let out = std::process::Command::new(&ffmpeg)
            .args(["-v", "error", "-i"])
            .arg(&path)
            .args(["-vf", &filter, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
            .output()
            .unwrap();
        let theirs = media::Frame { width: w, height: h, rgb: out.stdout };
        let db = psnr(&ours, &theirs);
        let mean = |f: &media::Frame, c: usize| {
            f.rgb.iter().skip(c).step_by(3).map(|v| f64::from(*v)).sum::<f64>() / (w * h) as f64
        };
        for c in 0..3 {
            assert!((mean(&ours, c) - mean(&theirs, c)).abs() < 1.0, "{} channel {c}", path.display());
        }
        assert!(db > 33.0, "{}: {db} dB", path.display());
    }
}

#[test]
fn broken_files_say_what_is_wrong() {
    let Some(zoo) = shared("codec_zoo/broken") else { return };
    let ffmpeg = media::ffmpeg().is_some();
    // What opening and then sampling give: a code, or how many frames.
    let foreign = |frames: &'static str| if ffmpeg { frames } else { "needs_ffmpeg" };
    let expected = [
        ("audio_only.mp4", "not_media"),
        // ffmpeg finds three frames in what is left of the index.
        ("bitflip.mkv", foreign("3")),
        ("bitflip_hevc.mp4", "not_media"),
        ("bitflip_payload.mp4", "corrupt"),
        ("empty.mp4", "not_media"),
        ("garbage_prefix.mp4", "not_media"),
        ("gif_named.mp4", "20"),
        // Only the container's note on the size is wrong; the stream knows better.
        ("huge_dims.mp4", "24"),
        ("huge_stsz_count.mp4", "corrupt"),
        ("random.mp4", "not_media"),
        ("text.mp4", "not_media"),
        ("truncated.avi", foreign("1")),
        ("truncated_faststart.mp4", "corrupt"),
        ("truncated_no_moov.mp4", "corrupt"),
        ("truncated_vp9.webm", foreign("10")),
        ("webm_named.avi", foreign("24")),
    ];
    assert_eq!(std::fs::read_dir(&zoo).unwrap().count(), expected.len());
    for (name, want) in expected {
        let all = media::open(&zoo.join(name), &limits()).and_then(|m| m.sample(&Sampling::Uniform(1000), None));
        let got = match &all {
            Ok(clip) => clip.frames.len().to_string(),
            Err(e) => e.code().to_owned(),
        };
        assert_eq!(got, want, "{name}: {:?}", all.err());
    }
    // What is whole before the cut can be had; what is not says which frame it is.
    let cut = media::open(&zoo.join("truncated_faststart.mp4"), &limits()).unwrap();
    assert_eq!(cut.frames(&[0, 1]).unwrap().frames.len(), 2);
    let error = cut.sample(&Sampling::Middle, None).unwrap_err().to_string();
    assert!(error.contains("frame 12 cannot be decoded"), "{error}");
}

#[test]
fn hostile_mp4s_end_in_frames_or_a_reason() {
    let Some(folder) = shared("mp4parse_tests") else { return };
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let start = std::time::Instant::now();
        let result = media::open(&path, &limits()).and_then(|m| m.sample(&Sampling::Uniform(3), None).map(|c| (m, c)));
        match result {
            Ok((m, clip)) => {
                assert!(clip.frames.iter().all(|f| (f.width, f.height) == (m.info().width, m.info().height)))
            }
            Err(e) => assert!(
                matches!(e.code(), "not_media" | "corrupt" | "unsupported" | "needs_ffmpeg"),
                "{}: {} {e}",
                path.display(),
                e.code()
            ),
        }
        assert!(start.elapsed().as_secs() < 20, "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 100, "{seen}");
}

#[test]
fn some_of_them_exactly() {
    let Some(folder) = shared("mp4parse_tests") else { return };
    let open = |name: &str| media::open(&folder.join(name), &limits());
    assert_eq!(open("h264_white_frame_sar_16_9.mp4").unwrap().info().width, 1138);
    let white = open("white.mp4").unwrap().sample(&Sampling::Middle, None).unwrap();
    assert!(white.frames[0].rgb.iter().all(|v| *v > 250));
    let turned = open("video_rotation_90.mp4").unwrap();
    assert_eq!((turned.info().width, turned.info().height), (60, 100));
    assert_eq!(open("short-cenc.mp4").unwrap_err().code(), "unsupported");
    assert_eq!(open("bipbop_audioinit.mp4").unwrap_err().code(), "not_media");
    let late = open("chunk_out_of_range.mp4").unwrap().sample(&Sampling::Middle, None).unwrap_err();
    assert!(late.to_string().contains("beyond the end of the file"), "{late}");
}
