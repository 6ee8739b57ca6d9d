//! Clips that only an ffmpeg can read: how much of them it is made to decode.

use std::path::Path;

/// A stand-in for ffmpeg that lets the real one talk and notes how many frames it has decoded.
#[cfg(unix)]
fn telltale(dir: &Path, ffmpeg: &Path) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = dir.join("ffmpeg");
    let (real, log) = (ffmpeg.display(), dir.join("log").display().to_string());
    let script = format!(
        r#"#!/bin/sh
for word; do
  shift
  case "$word" in info) word=verbose ;; level+info) word=level+verbose ;; esac
  set -- "$@" "$word"
done
exec 3>&1
'{real}' "$@" 2>&1 >&3 | tee -a '{log}' >&2
"#
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

const FOLDER: &str = "LIKEBUT_TEST_FOLDER";
const WANTED: [usize; 3] = [500, 1500, 2500];

#[cfg(unix)]
#[test]
fn a_few_frames_of_a_long_clip_are_sought() {
    let Some(ffmpeg) = media::ffmpeg() else { return eprintln!("skipped: no ffmpeg") };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.mkv");
    let source = "testsrc2=size=160x120:rate=25:duration=120";
    let made = std::process::Command::new(&ffmpeg)
        .args(["-v", "error", "-f", "lavfi", "-i", source, "-c:v", "mpeg4", "-g", "25"])
        .arg(&path)
        .status();
    assert!(made.unwrap().success());
    let script = telltale(dir.path(), &ffmpeg);
    crate::again(
        "foreign::frames_of_the_long_clip",
        &[("LIKEBUT_FFMPEG", script.as_os_str()), (FOLDER, dir.path().as_os_str())],
    );
    let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
    let decoded: usize =
        log.lines().filter_map(|l| l.split_once(" frames decoded")?.0.rsplit(' ').next()?.parse::<usize>().ok()).sum();
    // Each from the key frame before it, and what the decoder's threads have begun.
    assert!((3..600).contains(&decoded), "{decoded} of 3000 frames were decoded for three");
}

/// Runs under the test above, and does nothing by itself.
#[test]
fn frames_of_the_long_clip() {
    let Some(dir) = std::env::var_os(FOLDER) else { return };
    let file = media::open(&Path::new(&dir).join("long.mkv"), &crate::limits()).unwrap();
    assert_eq!(file.info().frames, 3000);
    assert_eq!(file.frames(&WANTED).unwrap().frames.len(), 3);
}
