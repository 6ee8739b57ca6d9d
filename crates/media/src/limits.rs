//! How much one file may cost.

/// How much one file may cost. Checked against what a header claims, before anything is allocated
/// for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Largest file, and the most memory that one sample's frames may take, bytes.
    pub max_bytes: u64,
    /// Most pixels in one frame.
    pub max_pixels: u64,
    /// Most frames in one clip.
    pub max_frames: usize,
    /// Longest time that opening or sampling one file may take, seconds.
    pub max_secs: f64,
}

impl Default for Limits {
    /// 4 GiB, 200 megapixels, a million frames (nine hours at 30 a second), two minutes.
    fn default() -> Self {
        Self { max_bytes: 4 << 30, max_pixels: 200_000_000, max_frames: 1_000_000, max_secs: 120.0 }
    }
}

impl Limits {
    pub(crate) fn check_pixels(&self, width: u64, height: u64) -> crate::Result<()> {
        if width == 0 || height == 0 {
            return Err(crate::Error::Corrupt(format!("a picture of {width}×{height} pixels")));
        }
        if width.saturating_mul(height) > self.max_pixels {
            let megapixels = self.max_pixels as f64 / 1e6;
            return Err(crate::Error::TooLarge(format!(
                "{width}×{height} pixels; at most {megapixels} million are read"
            )));
        }
        Ok(())
    }

    /// Whether `count` frames may be held at once.
    pub(crate) fn check_clip(&self, count: usize, width: u32, height: u32) -> crate::Result<()> {
        let bytes = (count as u64).saturating_mul(u64::from(width) * u64::from(height) * 3);
        if bytes > self.max_bytes {
            return Err(crate::Error::TooLarge(format!(
                "{count} frames of {width}×{height} take {} MB; at most {} are held; sample fewer",
                bytes / 1_000_000,
                self.max_bytes / 1_000_000
            )));
        }
        Ok(())
    }

    pub(crate) fn deadline(&self) -> Deadline {
        let secs = self.max_secs.clamp(0.0, 1e6);
        Deadline { end: std::time::Instant::now() + std::time::Duration::from_secs_f64(secs), secs }
    }
}

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    end: std::time::Instant,
    secs: f64,
}

impl Deadline {
    pub fn check(&self) -> crate::Result<()> {
        if self.passed() { Err(self.error()) } else { Ok(()) }
    }

    pub fn left(&self) -> std::time::Duration {
        self.end.saturating_duration_since(std::time::Instant::now())
    }

    pub fn passed(&self) -> bool {
        std::time::Instant::now() >= self.end
    }

    pub fn error(&self) -> crate::Error {
        crate::Error::Timeout(format!("not done within {} seconds", self.secs))
    }
}
