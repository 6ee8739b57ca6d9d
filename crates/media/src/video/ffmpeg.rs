//! Everything that we do not decode ourselves, through an `ffmpeg` that is already installed.
//!
//! It is a process of its own: what crashes it does not crash us, and what takes too long is
//! killed.
//! No shell is involved; the path is passed as `file:…`, only the `file` protocol is allowed, and
//! the format is the one that we recognised, so that a playlist in disguise cannot reach out.
//!
//! A few frames of a long clip are sought, not waited for: where the container has an index and the clock says
//! when each frame is shown, the process begins at the key frame before.
//! Indexes lie and decoders guess, so a frame that was sought counts only if its stamp, and the place of its
//! packet in the file, are those that the pass over all packets has found, and the decoder did not complain;
//! otherwise all is decoded from the beginning.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

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
    /// Where each frame's packet lies in the file, if that is known; as long as there are stamps.
    places: Vec<Option<u64>>,
    /// Numbers of the frames that can be decoded alone, ascending; none where nothing can be sought.
    keys: Vec<usize>,
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
    probe.args(["packet=pts_time,duration_time,pos,flags", "-of", "csv=p=0"]);
    let text = collect(probe, 64 * limits.max_frames as u64 + 4096, deadline)?;
    let mut stamps = Vec::new();
    let mut last_secs: f64 = 0.0;
    for line in String::from_utf8_lossy(&text).lines() {
        let mut cells = line.split(',');
        let [pts, duration, place, flags] = std::array::from_fn(|_| cells.next().unwrap_or(""));
        // D: decoded, but an edit list hides it.
        if !line.is_empty() && !flags.contains('D') {
            stamps.push((pts.parse::<f64>().ok(), place.parse::<u64>().ok(), flags.contains('K')));
            last_secs = duration.parse().unwrap_or(last_secs);
        }
    }
    if stamps.is_empty() {
        return Err(Error::Corrupt(format!("{what} with no frames")));
    }
    if stamps.len() > limits.max_frames {
        return Err(Error::TooLarge(format!("{} frames; at most {} are read", stamps.len(), limits.max_frames)));
    }
    let mut known: Vec<_> = stamps.iter().filter_map(|(pts, place, key)| Some(((*pts)?, *place, *key))).collect();
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    let distinct = known.windows(2).all(|w| w[0].0 < w[1].0);
    known.truncate(if known.len() == stamps.len() && distinct { known.len() } else { 0 });
    let places = known.iter().map(|(_, place, _)| *place).collect();
    let alone = known.iter().enumerate().filter(|(_, (_, _, key))| *key).map(|(i, _)| i);
    let keys = if has_index(container) { alone.collect() } else { Vec::new() };
    let stamps_secs = (!known.is_empty()).then(|| known.iter().map(|(pts, _, _)| *pts).collect::<Vec<_>>());
    let times_secs: Vec<f64> = match &stamps_secs {
        Some(known) => known.iter().map(|t| t - known[0]).collect(),
        // No clock of its own: as many frames as there are, evenly.
        None => (0..stamps.len()).map(|i| i as f64 * if last_secs > 0.0 { last_secs } else { 0.04 }).collect(),
    };
    let mean =
        if times_secs.len() > 1 { times_secs[times_secs.len() - 1] / (times_secs.len() - 1) as f64 } else { 0.0 };
    let duration_secs = times_secs[times_secs.len() - 1] + if last_secs > 0.0 { last_secs } else { mean };
    let path = path.to_owned();
    Ok(Foreign { tools, path, container, stream, times_secs, stamps_secs, places, keys, duration_secs })
}

/// Whether a container has an index by which it is sought, and a stamp for each packet. Streams (MPEG, Ogg, bare
/// ones) have none: ffmpeg would look about in them, and most often begin too late.
fn has_index(container: Container) -> bool {
    matches!(container, Container::Mp4 | Container::Matroska | Container::Avi | Container::Flv | Container::Asf)
}

/// So many frames are rather decoded than passed over: another process takes about as long.
const NEAR: usize = 50;

/// Most frames that a codec keeps back to show them in another order.
const KEPT_BACK: f64 = 16.0;

/// Wanted frames that one process decodes.
struct Run {
    /// The key frame that it begins at; `None` is the beginning of the file.
    key: Option<usize>,
    /// Which of the wanted.
    wanted: Range<usize>,
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

    /// The frames with these indices (display order, ascending), upright.
    pub fn frames(&self, indices: &[usize], deadline: Deadline) -> Result<Vec<Frame>> {
        let frames = match self.sought(indices, NEAR, deadline)? {
            Some(frames) => frames,
            None => self.pass(indices, None, deadline)?,
        };
        let s = &self.stream;
        let aspect = s.pixel_aspect.map(|(across, down)| if s.turned { (down, across) } else { (across, down) });
        frames.into_iter().map(|f| shape::square(f, aspect)).collect()
    }

    /// The same by seeking, as they are stored; `None` where that saves nothing, or a frame that came cannot be
    /// shown to be the one that was meant.
    fn sought(&self, indices: &[usize], near: usize, deadline: Deadline) -> Result<Option<Vec<Frame>>> {
        let runs = self.runs(indices, near);
        if runs.iter().all(|run| run.key.is_none()) {
            return Ok(None);
        }
        let mut frames = Vec::new();
        for run in runs {
            match self.pass(&indices[run.wanted], run.key, deadline) {
                Err(Error::Corrupt(_)) if run.key.is_some() => return Ok(None),
                some => frames.extend(some?),
            }
        }
        Ok(Some(frames))
    }

    /// Frames that lie near each other together: whoever has decoded one goes on to the next, unless there is a key
    /// frame between them that is more than `near` frames away.
    fn runs(&self, indices: &[usize], near: usize) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        // The frame that would be decoded next.
        let mut next = 0;
        for (at, i) in indices.iter().enumerate() {
            let key = self.keys.partition_point(|key| key <= i).checked_sub(1).map(|k| self.keys[k]);
            let key = key.filter(|key| *key > next + near);
            match runs.last_mut() {
                Some(run) if key.is_none() => run.wanted.end = at + 1,
                _ => runs.push(Run { key, wanted: at..at + 1 }),
            }
            next = i + 1;
        }
        runs
    }

    /// The frames with these indices (at least one), as they are stored, decoded from a key frame on, or from the
    /// beginning.
    fn pass(&self, indices: &[usize], key: Option<usize>, deadline: Deadline) -> Result<Vec<Frame>> {
        let s = &self.stream;
        // ffmpeg turns frames upright itself, before the filters.
        let (width, height) = if s.turned { (s.height, s.width) } else { (s.width, s.height) };
        let (Some(first), Some(last)) = (indices.first(), indices.last()) else { return Ok(Vec::new()) };
        // A short list is picked by ffmpeg, a long one by us, since its expressions are slow.
        let by_ffmpeg = indices.len() <= 100;
        let came: Vec<usize> = if by_ffmpeg { indices.to_vec() } else { (*first..=*last).collect() };
        let spans: Vec<(usize, usize)> =
            if by_ffmpeg { indices.iter().map(|i| (*i, *i)).collect() } else { vec![(*first, *last)] };
        // From the beginning frames are counted; from elsewhere they are known by their stamps.
        let of = |(first, last): (usize, usize)| match key {
            None => format!("between(n\\,{first}\\,{last})"),
            Some(_) => format!("between(t\\,{:.6}\\,{:.6})", self.until(first), self.until(last + 1)),
        };
        let select = spans.into_iter().map(of).collect::<Vec<_>>().join("+");
        let mut filter = format!("select={select},showinfo=checksum=0,scale={width}:{height}:flags=bicubic");
        // Where nothing is said ffmpeg assumes BT.601 for every size; we follow players.
        if !s.matrix_said && s.height >= 720 {
            filter.push_str(":in_color_matrix=bt709");
        }
        let mut flags = vec!["-nostdin", "-nostats", "-hide_banner", "-copyts", "-v"];
        let from = key.map(|key| format!("{:.6}", self.begin(key, *first)));
        match &from {
            None => flags.push("info"),
            // Each line then says how grave it is.
            Some(from) => flags.extend(["level+info", "-noaccurate_seek", "-seek_timestamp", "1", "-ss", from]),
        }
        let mut command = input(&self.tools.ffmpeg, &self.path, self.container, &flags);
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
        match key {
            None => self.check_stamps(&came, &done)?,
            Some(_) => self.check_sought(&came, &done)?,
        }
        Ok(frames)
    }

    /// A frame that could not be decoded is left out without a word and shifts the others: holds what came
    /// against what should have come.
    fn check_stamps(&self, came: &[usize], done: &Done) -> Result<()> {
        let Some(stamps) = &self.stamps_secs else { return Ok(()) };
        let of = self.times_secs.len();
        let slack = 0.5 * self.duration_secs / of as f64 + 0.002;
        for (i, (stamp, _)) in came.iter().zip(done.shown()) {
            if (stamp - stamps[*i]).abs() > slack {
                return Err(Error::Corrupt(format!(
                    "frame {i} of {of} cannot be decoded: ffmpeg gives the one at {stamp} s for the one at {} s",
                    stamps[*i]
                )));
            }
        }
        Ok(())
    }

    /// Nothing is granted to frames that were sought: each has its stamp and comes from its packet, and the decoder
    /// has not complained, as it does where a frame rests on others that it never saw.
    fn check_sought(&self, came: &[usize], done: &Done) -> Result<()> {
        let shown: Vec<(f64, Option<u64>)> = done.shown().collect();
        let same = |(i, (stamp, place)): (&usize, &(f64, Option<u64>))| {
            let there = self.places.get(*i).copied().flatten();
            (self.until(*i)..self.until(i + 1)).contains(stamp)
                && (place.is_none() || there.is_none() || *place == there)
        };
        if shown.len() != came.len() || !came.iter().zip(&shown).all(same) || done.has_warned() {
            return Err(Error::Corrupt(format!("ffmpeg does not find frame {} by its stamp", came[0])));
        }
        Ok(())
    }

    /// Half-way between this frame and the one before it, by the file's own clock; of the first as far before it as
    /// the second is after it, and so behind the last.
    fn until(&self, i: usize) -> f64 {
        let stamps = self.stamps_secs.as_deref().unwrap_or(&self.times_secs);
        let gap = |at: usize| (stamps[at] - stamps[at - 1]) / 2.0;
        match i {
            _ if stamps.len() < 2 => stamps.first().map_or(0.0, |t| t + i as f64 - 0.5),
            0 => stamps[0] - gap(1),
            i if i < stamps.len() => stamps[i] - gap(i),
            _ => stamps[stamps.len() - 1] + gap(stamps.len() - 1),
        }
    }

    /// Where to begin for a frame. Some containers are sought by when packets are decoded, not shown: asked for
    /// the frame itself they may begin at the key frame after it, which is decoded before it. So we ask for
    /// as much earlier as a codec may keep back, though for nothing before the key frame itself.
    fn begin(&self, key: usize, first: usize) -> f64 {
        let stamps = self.stamps_secs.as_deref().unwrap_or(&self.times_secs);
        let kept_back = KEPT_BACK * self.duration_secs / self.times_secs.len() as f64;
        // Stamps are printed in microseconds, rounded to either side.
        (stamps[first] - kept_back).max(stamps[key]) + 0.000_5
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

    /// When each frame that came is shown, from the `showinfo` filter, and where its packet lies in the file, which
    /// ffmpeg said up to version 6.
    fn shown(&self) -> impl Iterator<Item = (f64, Option<u64>)> {
        let frames = self.stderr.lines().filter(|l| l.contains("showinfo"));
        let word = |l: &str, key: &str| l.split_once(key)?.1.split_whitespace().next().map(str::to_owned);
        frames.filter_map(move |l| {
            let stamp = word(l, "pts_time:")?.parse().ok()?;
            Some((stamp, word(l, " pos:").and_then(|place| place.parse().ok())))
        })
    }

    /// Whether there was a warning or worse, of which each line says so, about anything but the way to RGB.
    fn has_warned(&self) -> bool {
        let grave = |l: &str| ["[warning]", "[error]", "[fatal]", "[panic]"].iter().any(|level| l.contains(level));
        self.stderr.lines().any(|l| grave(l) && !l.contains("swscaler"))
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
    // What is called ffmpeg may be a script that starts the real one and waits for it. A group of their own lets both
    // be killed: the real one would keep the pipes open, and whoever reads them waiting.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|e| Error::io(&program, e))?;
    let (Some(mut stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(Error::io(&program, std::io::Error::other("no pipes")));
    };
    let child = std::sync::Mutex::new(child);
    let kill = || {
        end(&mut child.lock().unwrap_or_else(|e| e.into_inner()));
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
    let mut child = child.into_inner().unwrap_or_else(|e| e.into_inner());
    // It may have closed its pipes and stay, so that here, too, nobody waits longer than the clock allows.
    let status = loop {
        match child.try_wait().map_err(|e| Error::io(&program, e))? {
            Some(status) => break status,
            None if deadline.passed() => end(&mut child),
            None => {}
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    };
    if deadline.passed() {
        return Err(deadline.error());
    }
    taken?;
    Ok((Done { stderr: String::from_utf8_lossy(&words).into_owned() }, status.success()))
}

/// Kills a process that was started as the head of a group, and all that it has started. It must not have been waited
/// for, or its number may belong to another.
fn end(child: &mut Child) {
    #[cfg(unix)]
    let _ = rustix::process::kill_process_group(rustix::process::Pid::from_child(child), rustix::process::Signal::KILL);
    let _ = child.kill();
}

#[cfg(test)]
mod tests;
