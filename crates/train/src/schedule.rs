//! The learning rate: a straight rise, then half a cosine to zero.

/// The rate at a step (from 0), as a share of the peak.
pub fn share(step: usize, warmup: usize, steps: usize) -> f64 {
    if step < warmup {
        return (step + 1) as f64 / warmup as f64;
    }
    let done = (step - warmup) as f64 / (steps.saturating_sub(warmup)).max(1) as f64;
    0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn rises_and_falls() {
        assert_eq!(share(0, 10, 110), 0.1);
        assert_eq!(share(10, 10, 110), 1.0);
        assert!((share(60, 10, 110) - 0.5).abs() < 1e-12);
        assert!(share(109, 10, 110) < 0.001);
    }
}
