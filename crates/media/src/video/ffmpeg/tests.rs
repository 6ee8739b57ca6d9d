//! What is sought is what comes from the beginning, or nothing.

use super::*;

/// Twelve seconds with something new in each frame, a key frame each second; `None`, saying so, where this
/// ffmpeg cannot write it.
fn clip(dir: &Path, name: &str, codec: &str) -> Option<PathBuf> {
    let path = dir.join(name);
    let source = "testsrc2=size=160x120:rate=25:duration=12";
    let mut command = Command::new(ffmpeg()?);
    command.args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", source]).args(codec.split(' ')).arg(&path);
    let made = command.output().is_ok_and(|out| out.status.success());
    if !made {
        eprintln!("skipped: this ffmpeg does not write {name} with {codec}");
    }
    made.then_some(path)
}

fn opened(path: &Path) -> Foreign {
    let head = std::fs::read(path).unwrap();
    let container = crate::sniff(&head[..head.len().min(crate::SNIFF_BYTES)]);
    open(path, container, "a clip", &Limits::default()).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Holds frames that are sought, however near, against those from the beginning; whether they were sought.
fn check(file: &Foreign, indices: &[usize]) -> bool {
    let deadline = Limits::default().deadline();
    let Some(sought) = file.sought(indices, 0, deadline).unwrap() else { return false };
    assert!(sought == file.pass(indices, None, deadline).unwrap(), "{}: other frames", file.path.display());
    true
}

#[test]
fn sought_frames_are_the_same_to_the_byte() {
    if ffmpeg().is_none() {
        return eprintln!("skipped: no ffmpeg");
    }
    let dir = tempfile::tempdir().unwrap();
    // Those of the last have no stamps of their own, and a stream has no index.
    for (name, codec, seeks) in [
        ("vp8.webm", "-c:v libvpx -b:v 500k -g 25", true),
        ("vp9.webm", "-c:v libvpx-vp9 -b:v 300k -g 25 -deadline realtime -cpu-used 8", true),
        ("h264.mkv", "-c:v libx264 -g 25 -bf 3", true),
        ("hevc.mkv", "-c:v libx265 -x265-params keyint=25:log-level=none", true),
        ("hevc.mp4", "-c:v libx265 -x265-params keyint=25:bframes=4:log-level=none", true),
        ("mpeg4.avi", "-c:v mpeg4 -g 25", true),
        ("mjpeg.avi", "-c:v mjpeg", true),
        ("flv.flv", "-c:v flv -g 25", true),
        ("wmv.wmv", "-c:v wmv2 -g 25", true),
        ("h264.ts", "-c:v libx264 -g 25", false),
        ("bframes.avi", "-c:v mpeg4 -g 25 -bf 2", false),
    ] {
        let Some(path) = clip(dir.path(), name, codec) else { continue };
        let file = opened(&path);
        // Key frames, those before and after them, and the last one; then more than ffmpeg is made to pick.
        assert_eq!(check(&file, &[3, 74, 150, 201, 299]), seeks, "{name}");
        assert_eq!(check(&file, &(130..240).collect::<Vec<_>>()), seeks, "{name}: many");
    }
}

#[test]
fn every_foreign_file_of_the_zoo_too() {
    let zoo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/codec_zoo/ok");
    if ffmpeg().is_none() || !zoo.is_dir() {
        return eprintln!("skipped: no ffmpeg, or codec_zoo is not on this machine");
    }
    let (mut sought, mut given_up) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(zoo).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // ffmpeg cannot read animated WebP.
        if name.ends_with(".webp") {
            continue;
        }
        let file = opened(&path);
        let last = file.times_secs.len() - 1;
        let wanted = if last > 0 { vec![last / 2, last] } else { vec![last] };
        let may = file.runs(&wanted, 0).iter().any(|run| run.key.is_some());
        match check(&file, &wanted) {
            true => sought.push(name),
            false if may => given_up.push(name),
            // One key frame, no index, or no stamps.
            false => (),
        }
    }
    assert!(given_up.is_empty(), "{given_up:?} could be sought and were not");
    for name in ["mjpeg.avi", "mjpeg.mov", "prores.mov", "rawvideo.avi"] {
        assert!(sought.iter().any(|s| s == name), "{name} was not sought: {sought:?}");
    }
}

#[test]
fn a_turned_clip_is_the_upright_one_turned() {
    let dir = tempfile::tempdir().unwrap();
    let Some(path) = clip(dir.path(), "clip.mp4", "-c:v mpeg4 -g 25") else { return };
    let mut bytes = std::fs::read(&path).unwrap();
    // The matrix in the track's header: x' = -y, y' = x. Sixteen bits of a number are its fraction, thirty of the last.
    let (one, minus_one) = (1u32 << 16, (-1i32 << 16) as u32);
    let matrix = |m: [u32; 4]| [m[0], m[1], 0, m[2], m[3], 0, 0, 0, 1 << 30].map(u32::to_be_bytes).concat();
    let header = bytes.windows(4).position(|w| w == b"tkhd").unwrap();
    let straight = matrix([one, 0, 0, one]);
    let at = header + bytes[header..].windows(straight.len()).position(|w| w == straight).unwrap();
    bytes[at..at + straight.len()].copy_from_slice(&matrix([0, one, minus_one, 0]));
    let turned = dir.path().join("turned.mp4");
    std::fs::write(&turned, bytes).unwrap();

    let (straight, turned) = (opened(&path), opened(&turned));
    assert_eq!((straight.size(), turned.size()), ((160, 120), (120, 160)));
    let frame = |file: &Foreign| file.frames(&[7], Limits::default().deadline()).unwrap().remove(0);
    let (straight, turned) = (frame(&straight), frame(&turned));
    let at = |f: &Frame, x: u32, y: u32| f.rgb[((y * f.width + x) * 3) as usize..][..3].to_vec();
    // A quarter turn to the right: what was on the left is on top.
    for (x, y) in [(0, 0), (100, 20), (159, 119)] {
        assert_eq!(at(&straight, x, y), at(&turned, straight.height - 1 - y, x), "{x}, {y}");
    }
}

#[test]
fn near_frames_run_together() {
    let dir = tempfile::tempdir().unwrap();
    let Some(path) = clip(dir.path(), "clip.avi", "-c:v mpeg4 -g 25") else { return };
    let file = opened(&path);
    let runs = |indices: &[usize], near| {
        let runs = file.runs(indices, near);
        runs.into_iter().map(|run| (run.key, run.wanted.len())).collect::<Vec<_>>()
    };
    assert_eq!(runs(&[10, 20, 40, 130, 150, 290], 50), [(None, 3), (Some(125), 2), (Some(275), 1)]);
    assert_eq!(runs(&[60, 70], 50), [(None, 2)]);
    assert_eq!(runs(&[299], 50), [(Some(275), 1)]);
    assert_eq!(runs(&[24, 25, 26], 0), [(None, 3)], "the next one is at hand");
}

#[test]
fn a_frame_that_is_not_proved_to_be_the_right_one_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let Some(path) = clip(dir.path(), "clip.mkv", "-c:v mpeg4 -g 25") else { return };
    let file = opened(&path);
    let place = file.places[130].unwrap();
    let says = |stamp: &str, place: &str, more: &str| {
        let line = format!("[Parsed_showinfo_1 @ 0x1] [info] n:   0 pts:   1 pts_time:{stamp}   pos:{place} fmt:rgb24");
        file.check_sought(&[130], &Done { stderr: format!("[info] Stream mapping:\n{line}\n{more}") }).is_ok()
    };
    let (right, deprecated) = (format!(" {place:>7}"), "[swscaler @ 0x1] [warning] deprecated pixel format used");
    assert!(says("5.2", &right, "[info] all is well") && says("5.2", " -1", deprecated));
    assert!(!says("5.24", &right, ""), "the next frame");
    assert!(!says("5.2", &format!(" {}", place + 1), ""), "another packet");
    assert!(!says("5.2", &right, "[h264 @ 0x1] [error] Missing reference picture"), "it rests on what was not seen");
    assert!(!says("5.2", &right, "[warning] corrupt decoded frame in stream 0"));
    assert!(file.check_sought(&[130], &Done { stderr: String::new() }).is_err(), "nothing is said of it");
    // What cannot be proved comes from the beginning.
    let mut astray = opened(&path);
    astray.places[130] = Some(place + 1);
    let deadline = Limits::default().deadline();
    let frames = astray.frames(&[130], deadline).unwrap();
    assert_eq!(frames, file.pass(&[130], None, deadline).unwrap());
}
