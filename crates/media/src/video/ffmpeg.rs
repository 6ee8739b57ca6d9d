//! Everything that we do not decode ourselves, through an `ffmpeg` that is already installed.
//!
//! It is a process of its own: what crashes it does not crash us, and what takes too long is
//! killed.
//! No shell is involved; the path is passed as `file:…`, only the `file` protocol is allowed, and
//! the format is the one that we recognised, so that a playlist in disguise cannot reach out.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::limits::Deadline;
use crate::picture::one_line;
use crate::{Container, Error, Frame, Limits, Result, shape};

/// The `ffmpeg` that is used, if there is one with an `ffprobe` beside it or on the PATH.
///
/// The environment variable `LIKEBUT_FFMPEG` overrides the search: a path, or `off`.
pub fn ffmpeg() -> Option<PathBuf> {
    tools().map(|t| t.ffmpeg)
}

struct Tools {
    ffmpeg: PathBuf,
    ffprobe: PathBuf,
}

fn tools() -> Option<Tools> {
    let exe = std::env::consts::EXE_SUFFIX;
    let on_path = |name: &str| {
        let name = format!("{name}{exe}");
        // An empty or relative entry would run what lies in the current folder.
        std::env::split_paths(&std::env::var_os("PATH")?)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(&name))
            .find(|p| p.is_file())
    };
    let ffmpeg = match std::env::var_os("LIKEBUT_FFMPEG") {
        Some(v) if v == "off" => return None,
        Some(v) if !v.is_empty() => Some(PathBuf::from(v)).filter(|p| p.is_file())?,
        _ => on_path("ffmpeg")?,
    };
    let beside = ffmpeg.with_file_name(format!("ffprobe{exe}"));
    let ffprobe = if beside.is_file() { beside } else { on_path("ffprobe")? };
    Some(Tools { ffmpeg, ffprobe })
}

/// A file that ffmpeg says it can read.
pub(crate) struct Foreign {
    tools: Tools,
    path: PathBuf,
    container: Container,
    stream: Stream,
    /// Seconds from the first; one for each frame.
    pub times_secs: Vec<f64>,
    /// When each frame is shown by the file's own clock, if it says so for all of them.
    stamps_secs: Option<Vec<f64>>,
    pub duration_secs: f64,
}

/// What `ffprobe` says of the picture stream.
struct Stream {
    index: u64,
    codec: String,
    width: u32,
    height: u32,
    turned: bool,
    pixel_aspect: Option<(u32, u32)>,
    matrix_said: bool,
}

/// Opens a file; `what` says container and codec for the message when there is no ffmpeg.
pub(crate) fn open(path: &Path, container: Container, what: &str, limits: &Limits) -> Result<Foreign> {
    let tools = tools().ok_or_else(|| Error::NeedsFfmpeg(what.to_owned()))?;
    let deadline = limits.deadline();
    let mut probe = input(&tools.ffprobe, path, container, &["-v", "error"]);
    probe.args(["-show_streams", "-of", "json"]);
    let stream = Stream::read(&collect(probe, 16 << 20, deadline)?, what)?;
    limits.check_pixels(stream.width.into(), stream.height.into())?;

    let mut probe = input(&tools.ffprobe, path, container, &["-v", "error"]);
    probe.args(["-select_streams", &stream.index.to_string(), "-show_entries"]);
    probe.args(["packet=pts_time,duration_time,flags", "-of", "csv=p=0"]);
    let text = collect(probe, 64 * limits.max_frames as u64 + 4096, deadline)?;
    let mut stamps = Vec::new();
    let mut last_secs: f64 = 0.0;
    for line in String::from_utf8_lossy(&text).lines() {
        let mut cells = line.split(',');
        let (pts, duration, flags) =
            (cells.next().unwrap_or(""), cells.next().unwrap_or(""), cells.next().unwrap_or(""));
        // D: decoded, but an edit list hides it.
        if !line.is_empty() && !flags.contains('D') {
            stamps.push(pts.parse::<f64>().ok());
            last_secs = duration.parse().unwrap_or(last_secs);
        }
    }
    if stamps.is_empty() {
        return Err(Error::Corrupt(format!("{what} with no frames")));
    }
    if stamps.len() > limits.max_frames {
        return Err(Error::TooLarge(format!("{} frames; at most {} are read", stamps.len(), limits.max_frames)));
    }
    let mut known: Vec<f64> = stamps.iter().copied().flatten().collect();
    known.sort_by(f64::total_cmp);
    let distinct = known.windows(2).all(|w| w[0] < w[1]);
    let stamps_secs = (known.len() == stamps.len() && distinct).then_some(known);
    let times_secs: Vec<f64> = match &stamps_secs {
        Some(known) => known.iter().map(|t| t - known[0]).collect(),
        // No clock of its own: as many frames as there are, evenly.
        None => (0..stamps.len()).map(|i| i as f64 * if last_secs > 0.0 { last_secs } else { 0.04 }).collect(),
    };
    let mean =
        if times_secs.len() > 1 { times_secs[times_secs.len() - 1] / (times_secs.len() - 1) as f64 } else { 0.0 };
    let duration_secs = times_secs[times_secs.len() - 1] + if last_secs > 0.0 { last_secs } else { mean };
    Ok(Foreign { tools, path: path.to_owned(), container, stream, times_secs, stamps_secs, duration_secs })
}

impl Foreign {
    /// Upright, square pixels.
    pub fn size(&self) -> (u32, u32) {
        let s = &self.stream;
        let (width, height) = shape::square_size(s.width, s.height, s.pixel_aspect);
        if s.turned { (height, width) } else { (width, height) }
    }

    pub fn codec(&self) -> &str {
        &self.stream.codec
    }

    /// The frames with these indices (display order, ascending, at least one), upright.
    pub fn frames(&self, indices: &[usize], deadline: Deadline) -> Result<Vec<Frame>> {
        let s = &self.stream;
        // ffmpeg turns frames upright itself, before the filters.
        let (width, height) = if s.turned { (s.height, s.width) } else { (s.width, s.height) };
        let (Some(first), Some(last)) = (indices.first(), indices.last()) else { return Ok(Vec::new()) };
        // A short list is picked by ffmpeg, a long one by us, since its expressions are slow.
        let by_ffmpeg = indices.len() <= 100;
        let select = match by_ffmpeg {
            true => indices.iter().map(|i| format!("eq(n\\,{i})")).collect::<Vec<_>>().join("+"),
            false => format!("between(n\\,{first}\\,{last})"),
        };
        let came: Vec<usize> = if by_ffmpeg { indices.to_vec() } else { (*first..=*last).collect() };
        let mut filter = format!("select={select},showinfo=checksum=0,scale={width}:{height}:flags=bicubic");
        // Where nothing is said ffmpeg assumes BT.601 for every size; we follow players.
        if !s.matrix_said && s.height >= 720 {
            filter.push_str(":in_color_matrix=bt709");
        }
        let mut command = input(
            &self.tools.ffmpeg,
            &self.path,
            self.container,
            &["-nostdin", "-nostats", "-hide_banner", "-v", "info", "-copyts"],
        );
        command.args(["-map", &format!("0:{}", s.index), "-an", "-sn", "-dn", "-vf", &filter]);
        command.args(if has_fps_mode(&self.tools.ffmpeg, deadline) {
            ["-fps_mode", "passthrough"]
        } else {
            ["-vsync", "0"]
        });
        command.args(["-frames:v", &came.len().to_string(), "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]);

        let size = width as usize * height as usize * 3;
        let mut frames = Vec::new();
        let (done, _) = run(command, deadline, |stdout| {
            for i in &came {
                let mut rgb = vec![0; size];
                if stdout.read_exact(&mut rgb).is_err() {
                    return Ok(());
                }
                if indices.binary_search(i).is_ok() {
                    frames.push(Frame { width, height, rgb });
                }
            }
            Ok(())
        })?;
        let of = self.times_secs.len();
        if frames.len() < indices.len() {
            let why = done.complaint();
            return Err(Error::Corrupt(format!(
                "frame {} of {of} cannot be decoded: ffmpeg says {why}",
                indices[frames.len()]
            )));
        }
        // A frame that could not be decoded is left out without a word and shifts the others: hold
        // what came against what should have come.
        if let Some(stamps) = &self.stamps_secs {
            let slack = 0.5 * self.duration_secs / of as f64 + 0.002;
            for (i, stamp) in came.iter().zip(done.stamps()) {
                if (stamp - stamps[*i]).abs() > slack {
                    return Err(Error::Corrupt(format!(
                        "frame {i} of {of} cannot be decoded: ffmpeg gives the one at {stamp} s for the one at {} s",
                        stamps[*i]
                    )));
                }
            }
        }
        let aspect = s.pixel_aspect.map(|(across, down)| if s.turned { (down, across) } else { (across, down) });
        frames.into_iter().map(|f| shape::square(f, aspect)).collect()
    }
}

impl Stream {
    fn read(json: &[u8], what: &str) -> Result<Self> {
        let unreadable =
            |e: &dyn std::fmt::Display| Error::Corrupt(format!("{what}: ffprobe's answer cannot be read: {e}"));
        let answer: serde_json::Value = serde_json::from_slice(json).map_err(|e| unreadable(&e))?;
        let text = |s: &serde_json::Value, key: &str| s[key].as_str().unwrap_or("").to_owned();
        let number =
            |s: &serde_json::Value, key: &str| s[key].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let streams = answer["streams"].as_array().cloned().unwrap_or_default();
        let pictures = streams.iter().filter(|s| s["codec_type"] == "video" && s["disposition"]["attached_pic"] != 1);
        let Some(s) =
            pictures.min_by_key(|s| std::cmp::Reverse(u64::from(number(s, "width")) * u64::from(number(s, "height"))))
        else {
            return Err(Error::NotMedia(format!("{what} without a picture track")));
        };
        let rotation = s["side_data_list"].as_array().into_iter().flatten().find_map(|d| d["rotation"].as_f64());
        let rotation = rotation.or_else(|| s["tags"]["rotate"].as_str()?.parse().ok()).unwrap_or(0.0);
        let aspect = text(s, "sample_aspect_ratio");
        let pixel_aspect = aspect.split_once(':').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let codec = text(s, "codec_name");
        if codec.is_empty() || codec == "unknown" {
            return Err(Error::Unsupported(format!("{what}: a codec that ffmpeg does not know")));
        }
        Ok(Self {
            index: s["index"].as_u64().unwrap_or(0),
            codec,
            width: number(s, "width"),
            height: number(s, "height"),
            turned: (rotation.abs() - 90.0).abs() < 1.0 || (rotation.abs() - 270.0).abs() < 1.0,
            pixel_aspect,
            matrix_said: s["color_space"].as_str().is_some_and(|c| c != "unknown"),
        })
    }
}

/// `program flags -f format -protocol_whitelist file -i file:path`
fn input(program: &Path, path: &Path, container: Container, flags: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(flags);
    let format = match container {
        Container::Mp4 | Container::Avif | Container::Heic => Some("mov"),
        Container::Matroska => Some("matroska"),
        Container::Avi => Some("avi"),
        Container::Ogg => Some("ogg"),
        Container::Flv => Some("flv"),
        Container::MpegTs => Some("mpegts"),
        Container::Asf => Some("asf"),
        Container::Y4m => Some("yuv4mpegpipe"),
        Container::H264 => Some("h264"),
        // Two formats of one name.
        _ => None,
    };
    if let Some(format) = format {
        command.args(["-f", format]);
    }
    let mut url = OsString::from("file:");
    url.push(path);
    command.args([OsStr::new("-protocol_whitelist"), OsStr::new("file"), OsStr::new("-i"), &url]);
    command
}

/// `-vsync` became `-fps_mode` in ffmpeg 5.1 (libavcodec 59.37). Asked once.
fn has_fps_mode(ffmpeg: &Path, deadline: Deadline) -> bool {
    static KNOWN: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *KNOWN.get_or_init(|| ask_fps_mode(ffmpeg, deadline))
}

fn ask_fps_mode(ffmpeg: &Path, deadline: Deadline) -> bool {
    let mut command = Command::new(ffmpeg);
    command.arg("-version");
    let Ok(text) = collect(command, 1 << 16, deadline) else { return true };
    let text = String::from_utf8_lossy(&text).into_owned();
    let version = text.lines().find_map(|l| l.strip_prefix("libavcodec")).unwrap_or("");
    let mut numbers = version.split(['.', '/', ' ']).filter_map(|n| n.parse::<u32>().ok());
    let (major, minor) = (numbers.next().unwrap_or(99), numbers.next().unwrap_or(0));
    (major, minor) >= (59, 37)
}

/// What a finished process said besides its output.
struct Done {
    stderr: String,
}

impl Done {
    /// Its last complaint, in one line.
    fn complaint(&self) -> String {
        let chatter =
            |l: &&str| !l.trim().is_empty() && !l.contains("showinfo") && !l.starts_with(' ') && !l.contains("video:");
        let line = self.stderr.lines().rev().find(chatter).unwrap_or("nothing");
        // The path is in the message around this one already.
        let line = if line.starts_with("file:") { line.rsplit(": ").next().unwrap_or(line) } else { line };
        one_line(line).chars().take(200).collect()
    }

    /// Presentation times of the frames that came, from the `showinfo` filter.
    fn stamps(&self) -> impl Iterator<Item = f64> {
        let frames = self.stderr.lines().filter(|l| l.contains("showinfo"));
        frames.filter_map(|l| l.split_once("pts_time:")?.1.split_whitespace().next()?.parse().ok())
    }
}

/// Output of a process that must succeed.
fn collect(command: Command, most: u64, deadline: Deadline) -> Result<Vec<u8>> {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut out = Vec::new();
    run(command, deadline, |stdout| {
        let read = stdout.take(most + 1).read_to_end(&mut out);
        read.map_err(|e| Error::Corrupt(format!("{name} broke off: {e}")))?;
        if out.len() as u64 > most {
            return Err(Error::TooLarge(format!("{name} says more than {most} bytes about the file")));
        }
        Ok(())
    })
    .and_then(|(done, ok)| match ok {
        true => Ok(()),
        false => Err(Error::Corrupt(format!("{name} cannot read it: {}", done.complaint()))),
    })?;
    Ok(out)
}

/// Runs a process with a watch on the clock; `take` reads its output. The process is gone when this
/// returns, whatever happened. The flag says whether it succeeded.
fn run(
    mut command: Command,
    deadline: Deadline,
    take: impl FnOnce(&mut dyn Read) -> Result<()>,
) -> Result<(Done, bool)> {
    let program = PathBuf::from(command.get_program());
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|e| Error::io(&program, e))?;
    let (Some(mut stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(Error::io(&program, std::io::Error::other("no pipes")));
    };
    let child = std::sync::Mutex::new(child);
    let kill = || {
        let _ = child.lock().unwrap_or_else(|e| e.into_inner()).kill();
    };
    let (finished, watch) = std::sync::mpsc::channel::<()>();
    let (taken, words) = std::thread::scope(|scope| {
        // One thread reads the complaints, so that a full pipe cannot stop the process; one
        // watches the clock.
        let words = scope.spawn(move || {
            let mut text = Vec::new();
            let mut stderr = stderr;
            let _ = (&mut stderr).take(8 << 20).read_to_end(&mut text);
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
            text
        });
        scope.spawn(|| {
            let watch = watch;
            if watch.recv_timeout(deadline.left()) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                kill();
            }
        });
        let taken = take(&mut stdout);
        // Whoever still writes now writes to nobody and stops.
        drop(stdout);
        if taken.is_err() {
            kill();
        }
        let words = words.join().unwrap_or_default();
        drop(finished);
        (taken, words)
    });
    let status = child.into_inner().unwrap_or_else(|e| e.into_inner()).wait().map_err(|e| Error::io(&program, e))?;
    if deadline.passed() {
        return Err(deadline.error());
    }
    taken?;
    Ok((Done { stderr: String::from_utf8_lossy(&words).into_owned() }, status.success()))
}
