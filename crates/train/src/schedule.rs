//! The learning rate: a straight rise, then half a cosine to zero; and that again, as often as wished.
//!
//! Beginning anew from a high rate (SGDR, Loshchilov and Hutter 2017) lets a run whose mark still rose
//! at its end be made longer without doing its first part again.

/// The rate at a step (from 0), as a share of the peak: over `steps` of them, then over each of `restarts`.
pub fn share(step: usize, warmup: usize, steps: usize, restarts: &[usize]) -> f64 {
    let (mut step, mut steps) = (step, steps);
    for next in restarts {
        if step < steps {
            break;
        }
        (step, steps) = (step - steps, *next);
    }
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
        assert_eq!(share(0, 10, 110, &[]), 0.1);
        assert_eq!(share(10, 10, 110, &[]), 1.0);
        assert!((share(60, 10, 110, &[]) - 0.5).abs() < 1e-12);
        assert!(share(109, 10, 110, &[]) < 0.001);
    }

    #[test]
    fn begins_anew_and_falls_as_slowly_as_it_is_long() {
        let restarts = [210, 60];
        for step in 0..110 {
            assert_eq!(share(step, 10, 110, &restarts), share(step, 10, 110, &[]), "the first fall is as it was");
        }
        for step in 0..210 {
            assert_eq!(share(110 + step, 10, 110, &restarts), share(step, 10, 210, &[]));
        }
        for step in 0..60 {
            assert_eq!(share(320 + step, 10, 110, &restarts), share(step, 10, 60, &[]));
        }
        assert_eq!(share(1000, 10, 110, &restarts), 0.0);
    }
}
