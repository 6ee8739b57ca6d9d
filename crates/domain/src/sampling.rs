//! Which frames of a clip are looked at.

/// Which frames of a clip are looked at. A picture has one frame, whatever the rule.
///
/// ```
/// use domain::Sampling;
/// assert_eq!(Sampling::Middle.indices(24, 12.0), [12]);
/// // CoVR's `sample_frames(100, 15)`.
/// assert_eq!(Sampling::Uniform(15).indices(100, 25.0)[..3], [2, 9, 16]);
/// assert_eq!("every:0.5".parse::<Sampling>().unwrap().indices(24, 12.0), [0, 6, 12, 18]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampling {
    /// The one at index `len / 2`: CoVR's `vid_query_method: middle`.
    Middle,
    /// `n` frames spread evenly: the middle of each of `n` equal stretches, exactly as CoVR's
    /// `sample_frames` counts them; all frames when the clip has fewer.
    Uniform(usize),
    /// One every so many seconds, from the start.
    Every(f64),
}

/// A sampling rule that cannot be read.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("unknown sampling {0:?}; write middle, uniform:N (N at least 1) or every:SECONDS (more than 0)")]
pub struct SamplingError(pub String);

impl Sampling {
    /// Indices into a clip of `len` frames at a mean rate of `fps` frames per second; ascending.
    /// Empty only for an empty clip.
    pub fn indices(&self, len: usize, fps: f64) -> Vec<usize> {
        if len == 0 {
            return Vec::new();
        }
        match *self {
            Sampling::Middle => vec![len / 2],
            Sampling::Uniform(n) => {
                let n = n.clamp(1, len);
                // NumPy's linspace(0, len, n + 1) cast to int, as the reference does.
                let edge = |i: usize| (i as f64 * (len as f64 / n as f64)) as usize;
                let edge = |i: usize| if i == n { len } else { edge(i) };
                (0..n).map(|i| (edge(i) + edge(i + 1) - 1) / 2).collect()
            }
            Sampling::Every(secs) => {
                let step = (secs * fps).max(1e-9);
                let mut out: Vec<usize> =
                    (0..len).map(|i| (i as f64 * step).round() as usize).take_while(|i| *i < len).collect();
                out.dedup();
                out
            }
        }
    }
}

impl std::fmt::Display for Sampling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Sampling::Middle => f.write_str("middle"),
            Sampling::Uniform(n) => write!(f, "uniform:{n}"),
            Sampling::Every(s) => write!(f, "every:{s}"),
        }
    }
}

impl std::str::FromStr for Sampling {
    type Err = SamplingError;

    fn from_str(text: &str) -> Result<Self, SamplingError> {
        let bad = || SamplingError(text.to_owned());
        match text.split_once(':') {
            None if text == "middle" => Ok(Sampling::Middle),
            Some(("uniform", n)) => match n.parse() {
                Ok(n) if n >= 1 => Ok(Sampling::Uniform(n)),
                _ => Err(bad()),
            },
            Some(("every", s)) => match s.parse::<f64>() {
                Ok(s) if s > 0.0 && s.is_finite() => Ok(Sampling::Every(s)),
                _ => Err(bad()),
            },
            _ => Err(bad()),
        }
    }
}

impl serde::Serialize for Sampling {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Sampling {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_indices_of_covr() {
        let u = Sampling::Uniform(15);
        assert_eq!(u.indices(100, 1.0), [2, 9, 16, 22, 29, 36, 42, 49, 56, 62, 69, 76, 82, 89, 96]);
        assert_eq!(u.indices(450, 1.0), (0..15).map(|i| 14 + 30 * i).collect::<Vec<_>>());
        assert_eq!(u.indices(7, 1.0), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(Sampling::Middle.indices(1, 1.0), [0]);
    }

    #[test]
    fn text_both_ways() {
        for s in [Sampling::Middle, Sampling::Uniform(3), Sampling::Every(0.25)] {
            assert_eq!(s.to_string().parse::<Sampling>().unwrap(), s);
        }
        for bad in ["", "uniform:0", "every:0", "every:nan", "uniform", "last"] {
            assert!(bad.parse::<Sampling>().is_err(), "{bad}");
        }
    }
}
