//! What a world holds, in numbers: `cargo run --release -p likebut-scenes --example count -- FAMILIES`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

fn main() {
    let families = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    let start = std::time::Instant::now();
    let set = scenes::build(&scenes::World::train(families));
    println!("built in {:.2} s", start.elapsed().as_secs_f64());
    let mut items: BTreeMap<domain::Split, (usize, usize, usize)> = BTreeMap::new();
    let mut keys: HashMap<domain::Split, HashSet<scenes::Key>> = HashMap::new();
    let mut words = BTreeSet::new();
    let (mut longest_caption, mut longest_text, mut sum) = (0, 0, 0);
    for item in &set.items {
        let at = items.entry(item.split).or_default();
        at.0 += 1;
        at.1 += usize::from(item.scene.is_clip());
        at.2 += usize::from(item.scene.meaning.concept.is_some());
        keys.entry(item.split).or_default().insert(item.scene.key());
        for caption in item.scene.captions(1, 3) {
            let split: Vec<_> = caption.split([' ', ',']).filter(|w| !w.is_empty()).collect();
            longest_caption = longest_caption.max(split.len());
            sum += split.len();
            words.extend(split.into_iter().map(str::to_owned));
        }
    }
    let mut slices: BTreeMap<(domain::Split, String), usize> = BTreeMap::new();
    let mut many = 0;
    for t in &set.triplets {
        let split: Vec<_> = t.text.split([' ', ',']).filter(|w| !w.is_empty()).collect();
        longest_text = longest_text.max(split.len());
        words.extend(split.into_iter().map(str::to_owned));
        many += usize::from(t.targets.len() > 1);
        *slices.entry((t.split.unwrap_or(domain::Split::Train), t.slice.clone().unwrap_or_default())).or_default() += 1;
    }
    for (split, (n, clips, concepts)) in &items {
        let asked = set.triplets.iter().filter(|t| t.split == Some(*split));
        let (all, implied) =
            asked.fold((0, 0), |a, t| (a.0 + 1, a.1 + usize::from(t.change == Some(domain::Change::Implied))));
        println!(
            "{split}: {n} items, {clips} clips, {concepts} with cues, {} meanings; {all} triplets, {implied} implied",
            keys[split].len()
        );
    }
    println!(
        "{} words in all; captions up to {longest_caption}, on average {:.1}; texts up to {longest_text}; {many} triplets with several targets",
        words.len(),
        sum as f64 / (3 * set.items.len()) as f64
    );
    for ((split, slice), n) in &slices {
        println!("  {split} {slice} {n}");
    }
    println!("{}", words.into_iter().collect::<Vec<_>>().join(" "));
}
