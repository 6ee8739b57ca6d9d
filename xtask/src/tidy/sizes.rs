//! No file is too large to clone: weights live under `models/`, everything else is small.

use super::{Fault, House};

const MOST: usize = 2_000_000;
const MOST_MODEL: usize = 12_000_000;

pub fn check(house: &House) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, bytes) in &house.files {
        let most = if name.starts_with("models/") { MOST_MODEL } else { MOST };
        if bytes.len() > most {
            let mb = |n: usize| n as f64 / 1e6;
            let what = format!("it is {:.1} MB, at most {:.0} MB are kept", mb(bytes.len()), mb(most));
            let mend = "let a command make it, or make it smaller; history never forgets a large file".into();
            faults.push(Fault { file: name.clone(), line: 0, what, mend });
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_are_faults_unless_they_are_weights_within_reason() {
        let (small, large, huge) = ("x".repeat(MOST), "x".repeat(MOST + 1), "x".repeat(MOST_MODEL + 1));
        let house = House::of(&[("a", &small), ("b", &large), ("models/c", &large), ("models/d", &huge)]);
        let faults = check(&house);
        assert_eq!(faults.iter().map(|f| f.file.as_str()).collect::<Vec<_>>(), ["b", "models/d"]);
    }
}
