//! One opened file: what it is, and its frames.

use std::io::Read as _;
use std::path::Path;

use domain::{Kind, Sampling, Span};

use crate::picture::Picture;
use crate::video::ffmpeg::Foreign;
use crate::video::{self, Opened};
use crate::{Container, Error, Frame, Limits, Result, SNIFF_BYTES, sniff};

/// A file that holds a picture or a clip. Its header has been read; its frames are read when asked
/// for.
pub struct Media {
    info: Info,
    limits: Limits,
    /// When each frame is shown, seconds from the first.
    times_secs: Vec<f64>,
    source: Source,
}

enum Source {
    Picture(Picture),
    Builtin(Box<video::Clip>),
    Foreign(Foreign),
}

/// What a file is.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// Whether it stands still or moves.
    pub kind: Kind,
    /// The container, told by its bytes.
    pub container: Container,
    /// The codec, for people: `H.264 High`, `vp9`, `JPEG`.
    pub codec: String,
    /// Pixels across, upright, with square pixels.
    pub width: u32,
    /// Pixels down, upright, with square pixels.
    pub height: u32,
    /// How many frames are shown.
    pub frames: usize,
    /// From the first frame to the end of the last; `None` for a picture.
    pub duration_secs: Option<f64>,
    /// Mean rate, frames per second; `None` for a picture.
    pub fps: Option<f64>,
}

/// Some of a file's frames. A picture gives one, at second 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// The frames, in the order in which they are shown.
    pub frames: Vec<Frame>,
    /// When each is shown, seconds from the file's first frame.
    pub times_secs: Vec<f64>,
}

/// Looks at a file: what it is, how large, how long. No frame is kept.
///
/// ```
/// # fn main() -> media::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("red.png");
/// media::write_png(&path, &media::Frame::filled(40, 30, [200, 10, 10]))?;
/// let file = media::open(&path, &media::Limits::default())?;
/// assert_eq!((file.info().width, file.info().height), (40, 30));
/// let clip = file.sample(&domain::Sampling::Middle, None)?;
/// assert_eq!(clip.frames[0].rgb[..3], [200, 10, 10]);
/// # Ok(()) }
/// ```
pub fn open(path: &Path, limits: &Limits) -> Result<Media> {
    let (container, head) = look(path, limits)?;
    caught("the reader", || match container {
        Container::Empty => Err(Error::NotMedia("the file is empty".to_owned())),
        Container::Text => Err(Error::NotMedia("the file is text".to_owned())),
        Container::Unknown => Err(Error::NotMedia(format!("no known format begins with {}", hex(&head)))),
        Container::Jpeg | Container::Png | Container::WebP | Container::Gif | Container::Bmp | Container::Tiff => {
            Ok(Media::from_picture(Picture::open(path, container, limits)?, container, limits))
        }
        Container::Mp4 => match video::open(path, limits)? {
            Opened::Builtin(clip) => Ok(Media::from_clip(clip, limits)),
            Opened::Foreign(codec) => Media::from_ffmpeg(path, container, &format!("{container} with {codec}"), limits),
        },
        Container::Avif | Container::Heic => {
            Media::from_ffmpeg(path, container, &format!("an {container} picture"), limits)
        }
        _ => Media::from_ffmpeg(path, container, &format!("a {container} clip"), limits),
    })
}

/// About how many bytes [`open`] holds of this file while it looks at it, by its size and its first bytes; asked
/// so that memory can be found before anything is read. A picture is read whole, and for a moment twice; an
/// animation is gone through once, on a canvas. Of an MP4 the index is read, mostly a thousandth of it; what an
/// `ffmpeg` process takes to look at other clips is not counted.
pub fn bytes_to_open(path: &Path, limits: &Limits) -> Result<u64> {
    let (container, head) = look(path, limits)?;
    let size = std::fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
    match container {
        Container::Mp4 => video::mp4::bytes_to_read(path, limits),
        _ => Ok(crate::picture::bytes_to_open(container, &head, size, limits)),
    }
}

/// Container and first bytes of a file that may be opened at all.
fn look(path: &Path, limits: &Limits) -> Result<(Container, Vec<u8>)> {
    let io = |e| Error::io(path, e);
    // Asked before opening: to open a pipe would wait for someone to write to it.
    let about = std::fs::metadata(path).map_err(io)?;
    if about.is_dir() {
        return Err(Error::NotMedia(format!("{} is a folder", path.display())));
    }
    if !about.is_file() {
        return Err(Error::NotMedia(format!("{} is not a regular file", path.display())));
    }
    if about.len() > limits.max_bytes {
        let (has, most) = (about.len() / 1_000_000, limits.max_bytes / 1_000_000);
        return Err(Error::TooLarge(format!("a file of {has} MB; at most {most} MB are read")));
    }
    let mut head = Vec::new();
    std::fs::File::open(path).map_err(io)?.take(SNIFF_BYTES as u64).read_to_end(&mut head).map_err(io)?;
    Ok((sniff(&head), head))
}

fn hex(head: &[u8]) -> String {
    head.iter().take(8).map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ")
}

impl Media {
    /// What the file is.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// When each frame is shown, seconds from the first.
    pub fn times_secs(&self) -> &[f64] {
        &self.times_secs
    }

    /// How many bytes it takes, at most, to hold this file and what `sampling` looks at, of the whole of it, while
    /// that is decoded:
    ///
    /// - a still picture: twice its file, and for each pixel what its format keeps of it on the way, from 3
    ///   (an upright baseline JPEG) over 12 (lossy WebP) to 32 (TIFF of four floats);
    /// - a clip: for each pixel 3 for each frame that is kept, and 24, as a decoder keeps some sixteen frames
    ///   of one and a half bytes to predict others from; an animation's canvases fit in that, and its file
    ///   comes twice on top. What an `ffmpeg` process takes for itself is not in it.
    pub fn bytes(&self, sampling: &Sampling) -> u64 {
        let pixels = u64::from(self.info.width) * u64::from(self.info.height);
        let frames = sampling.indices(self.info.frames, self.info.fps.unwrap_or(1.0)).len() as u64;
        let (file, still) = match &self.source {
            Source::Picture(picture) => (2 * picture.file_bytes(), picture.bytes_per_pixel),
            _ => (0, 0),
        };
        let each = if self.info.kind == Kind::Clip { 3 * frames + 24 } else { still.max(3) };
        pixels.saturating_mul(each).saturating_add(file)
    }

    /// The frames that `sampling` looks at, of the whole file or of a stretch of it: the frames
    /// shown from `start_secs` up to, not including, `end_secs`; if none begins there, the one
    /// that is on screen.
    pub fn sample(&self, sampling: &Sampling, span: Option<Span>) -> Result<Clip> {
        let (first, end) = match span {
            Some(span) if self.info.kind == Kind::Clip => self.frames_in(span)?,
            _ => (0, self.times_secs.len()),
        };
        let fps = self.info.fps.unwrap_or(1.0);
        let indices: Vec<usize> = sampling.indices(end - first, fps).into_iter().map(|i| first + i).collect();
        self.frames(&indices)
    }

    /// The frames with these indices, which must ascend and exist.
    pub fn frames(&self, indices: &[usize]) -> Result<Clip> {
        let count = self.times_secs.len();
        if !indices.is_sorted() || indices.last().is_some_and(|last| *last >= count) {
            return Err(Error::BadRequest(format!("frame numbers must ascend and be below {count}, got {indices:?}")));
        }
        self.limits.check_clip(indices.len(), self.info.width, self.info.height)?;
        let deadline = self.limits.deadline();
        let frames = caught("the decoder", || match &self.source {
            Source::Picture(p) => p.frames(indices, &self.limits, deadline),
            Source::Builtin(c) => c.frames(indices, deadline),
            Source::Foreign(f) => f.frames(indices, deadline),
        })?;
        Ok(Clip { frames, times_secs: indices.iter().map(|i| self.times_secs[*i]).collect() })
    }

    fn frames_in(&self, span: Span) -> Result<(usize, usize)> {
        let length = self.info.duration_secs.unwrap_or(0.0);
        if !(span.start_secs < span.end_secs && span.start_secs < length && span.end_secs > 0.0) {
            return Err(Error::BadRequest(format!(
                "the stretch from {} to {} s lies outside the clip, which is {length:.3} s long",
                span.start_secs, span.end_secs
            )));
        }
        // A microsecond of slack: 41.7 s is meant to hit the frame at 41.699 999 9.
        let first = self.times_secs.partition_point(|t| *t < span.start_secs - 1e-6);
        let end = self.times_secs.partition_point(|t| *t < span.end_secs - 1e-6);
        Ok(if first < end { (first, end) } else { (first.max(1) - 1, first.max(1)) })
    }

    fn from_picture(picture: Picture, container: Container, limits: &Limits) -> Self {
        let still = picture.times_secs.is_empty();
        let times = if still { vec![0.0] } else { picture.times_secs.clone() };
        let size = (picture.width, picture.height);
        let duration = (!still).then_some(picture.duration_secs);
        Self::new(container, container.to_string(), size, times, duration, limits, Source::Picture(picture))
    }

    fn from_clip(clip: Box<video::Clip>, limits: &Limits) -> Self {
        let codec = format!("H.264 {}", clip.profile());
        let duration = Some(clip.duration_secs());
        Self::new(Container::Mp4, codec, clip.size(), clip.times_secs(), duration, limits, Source::Builtin(clip))
    }

    fn from_ffmpeg(path: &Path, container: Container, what: &str, limits: &Limits) -> Result<Self> {
        let foreign = video::ffmpeg::open(path, container, what, limits)?;
        let picture = matches!(container, Container::Avif | Container::Heic) && foreign.times_secs.len() == 1;
        let duration = (!picture).then_some(foreign.duration_secs);
        let (codec, times) = (foreign.codec().to_owned(), foreign.times_secs.clone());
        Ok(Self::new(container, codec, foreign.size(), times, duration, limits, Source::Foreign(foreign)))
    }

    fn new(
        container: Container,
        codec: String,
        (width, height): (u32, u32),
        times_secs: Vec<f64>,
        duration_secs: Option<f64>,
        limits: &Limits,
        source: Source,
    ) -> Self {
        let frames = times_secs.len();
        let info = Info {
            kind: if duration_secs.is_some() { Kind::Clip } else { Kind::Picture },
            container,
            codec,
            width,
            height,
            frames,
            duration_secs,
            fps: duration_secs.map(|d| if d > 0.0 { frames as f64 / d } else { 1.0 }),
        };
        Self { info, limits: limits.clone(), times_secs, source }
    }
}

/// Turns a panic of somebody else's decoder into an error.
pub(crate) fn caught<T>(who: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    // Nothing that `work` may have left half done is used afterwards.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::Corrupt(format!("{who} broke down over these bytes"))))
}

/// For tests against digests: the planes of the frames as the built-in decoder gives them, before
/// colour, shape and turn. `None` where the built-in decoder is not used.
#[doc(hidden)]
pub fn decoded_planes(path: &Path, limits: &Limits) -> Result<Option<Vec<[Vec<u8>; 3]>>> {
    caught("the decoder", || match video::open(path, limits)? {
        Opened::Foreign(_) => Ok(None),
        Opened::Builtin(clip) => {
            let all: Vec<usize> = (0..clip.times_secs().len()).collect();
            clip.planes(&all, limits.deadline(), |yuv| Ok(yuv.planes)).map(Some)
        }
    })
}

impl std::fmt::Debug for Media {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Media").field(&self.info).finish()
    }
}
