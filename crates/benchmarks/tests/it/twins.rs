//! Every mark beside a slow, obvious twin, on random rankings with ties.

use std::collections::HashSet;

use benchmarks::{Average, Benchmark, Mark, Protocol, Ranking, RightRule, TieRule, marks, rank_of};
use domain::{GalleryEntry, Triplet};

use crate::Dice;

const ROUNDS: usize = 3_000;

/// A random question: scores in few steps so that ties abound, and some right answers.
fn question(dice: &mut Dice) -> (Vec<(String, f32)>, Vec<String>) {
    let n = 1 + dice.below(12);
    let steps = 1 + dice.below(5);
    let mut names: Vec<String> = (0..n).map(|i| format!("n{i:02}")).collect();
    dice.shuffle(&mut names);
    let targets = names[..1 + dice.below(n)].to_vec();
    let scored = names.into_iter().map(|name| (name, dice.below(steps) as f32 - 2.0)).collect();
    (scored, targets)
}

/// All the ways to order the items that never put a lower score first, by trying many shuffles,
/// is too many; but the extremes are simple: sort with right answers last, or first.
fn slow_rank(scores: &[(String, f32)], targets: &[String], ties: TieRule) -> Option<usize> {
    let mut left: Vec<&(String, f32)> = scores.iter().collect();
    let mut place = 0;
    while !left.is_empty() {
        // Take the best that is left, by looking at all of them.
        let mut best = 0;
        for i in 1..left.len() {
            let (a, b) = (left[i], left[best]);
            let right = |x: &(String, f32)| targets.contains(&x.0);
            let wins = if a.1 != b.1 {
                a.1 > b.1
            } else {
                match ties {
                    TieRule::Name => a.0 < b.0,
                    TieRule::Pessimistic if right(a) != right(b) => right(b),
                    TieRule::Optimistic if right(a) != right(b) => right(a),
                    _ => a.0 < b.0,
                }
            };
            if wins {
                best = i;
            }
        }
        place += 1;
        if targets.contains(&left.remove(best).0) {
            return Some(place);
        }
    }
    None
}

#[test]
fn rank_of_agrees_with_taking_the_best_again_and_again() {
    let mut dice = Dice(1);
    for round in 0..ROUNDS {
        let (scores, mut targets) = question(&mut dice);
        if round % 7 == 0 {
            targets = vec!["nobody".to_owned()];
        }
        let borrowed: Vec<(&str, f32)> = scores.iter().map(|(n, s)| (n.as_str(), *s)).collect();
        let wanted: Vec<&str> = targets.iter().map(String::as_str).collect();
        for ties in [TieRule::Pessimistic, TieRule::Optimistic, TieRule::Name] {
            assert_eq!(
                rank_of(&borrowed, &wanted, ties).unwrap(),
                slow_rank(&scores, &targets, ties),
                "{scores:?} {targets:?} {ties:?}"
            );
        }
    }
}

#[test]
fn every_honest_order_lies_between_the_pessimistic_and_the_optimistic_rank() {
    let mut dice = Dice(2);
    for _ in 0..ROUNDS {
        let (mut scores, targets) = question(&mut dice);
        // Shuffle, then sort stably: a random order that respects the scores.
        dice.shuffle(&mut scores);
        scores.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap());
        let got = 1 + scores.iter().position(|(n, _)| targets.contains(n)).unwrap();
        let borrowed: Vec<(&str, f32)> = scores.iter().map(|(n, s)| (n.as_str(), *s)).collect();
        let wanted: Vec<&str> = targets.iter().map(String::as_str).collect();
        let rank = |ties| rank_of(&borrowed, &wanted, ties).unwrap().unwrap();
        assert!(rank(TieRule::Optimistic) <= got && got <= rank(TieRule::Pessimistic), "{scores:?} {targets:?}");
    }
}

/// The marks, from the definition: build the list of relevances and walk over it.
struct Slow {
    relevant: Vec<bool>,
    targets: usize,
}

impl Slow {
    fn recall(&self, k: usize) -> f64 {
        for (i, relevant) in self.relevant.iter().enumerate() {
            if i < k && *relevant {
                return 1.0;
            }
        }
        0.0
    }

    fn precision(&self, k: usize) -> f64 {
        let mut hits = 0.0;
        for i in 0..k {
            if self.relevant.get(i) == Some(&true) {
                hits += 1.0;
            }
        }
        hits / k as f64
    }

    fn share(&self, k: usize) -> f64 {
        let found = self.relevant.iter().take(k).filter(|r| **r).count();
        found as f64 / self.targets as f64
    }

    fn ndcg(&self, k: usize) -> f64 {
        let gain = |i: usize| 2f64.ln() / (i as f64 + 2.0).ln();
        let mut got = 0.0;
        for (i, relevant) in self.relevant.iter().enumerate() {
            if i < k && *relevant {
                got += gain(i);
            }
        }
        let mut best = 0.0;
        for i in 0..k.min(self.targets) {
            best += gain(i);
        }
        got / best
    }

    fn average_precision(&self, k: usize) -> f64 {
        let mut sum = 0.0;
        for i in 1..=k {
            if self.relevant.get(i - 1) == Some(&true) {
                sum += self.precision(i);
            }
        }
        sum / if self.targets < k { self.targets } else { k } as f64
    }
}

#[test]
fn the_published_example_of_average_precision() {
    // Predictions 3 9 1 7 2 8 4 5 6 10; right answers 3 1 4 99.
    let ranks = [1, 3, 7];
    for (k, want) in [(1, 1.0), (3, 0.555_556), (5, 0.416_667), (10, 0.523_810)] {
        let got = marks::average_precision(&ranks, 4, k);
        assert!((got - want).abs() < 1e-6, "AP@{k} is {got}, not {want}");
    }
}

#[test]
fn a_whole_report_agrees_with_its_slow_twin() {
    let mut dice = Dice(3);
    let mut asked = 0;
    for round in 0..60 {
        let n = 3 + dice.below(20);
        let names: Vec<String> = (0..n).map(|i| format!("item {i:02}")).collect();
        let gallery = names.iter().map(|name| GalleryEntry {
            name: name.clone(),
            path: format!("{name}.png"),
            ..Default::default()
        });
        let protocol = Protocol {
            drop_reference: round % 2 == 0,
            ties: [TieRule::Pessimistic, TieRule::Optimistic, TieRule::Name][round % 3],
            ks: vec![1, 2, 5],
            map_ks: vec![1, 3, 5],
            ndcg_ks: vec![1, 3, 5],
            right: [RightRule::Any, RightRule::Share][round / 3 % 2],
            averages: vec![Average { name: "Avg".into(), of: vec![Mark::Recall(1), Mark::MeanAp(5)] }],
            ..Protocol::default()
        };
        let mut queries = Vec::new();
        for id in 0..50 {
            let mut order = names.clone();
            dice.shuffle(&mut order);
            let targets = order[1..2 + dice.below((n - 1).min(4))].to_vec();
            let subset = (id % 3 == 0).then(|| order[..3.max(n / 2)].to_vec());
            queries.push(Triplet {
                id: format!("q{id}"),
                reference: order[0].clone(),
                text: "but".into(),
                targets,
                subset,
                ..Default::default()
            });
        }
        let exam = Benchmark::new("random", gallery.collect(), queries, protocol.clone()).unwrap();

        let mut rankings = Vec::new();
        let mut slow: Vec<Slow> = Vec::new();
        let mut slow_subset: Vec<Slow> = Vec::new();
        for q in &exam.queries {
            let steps = 1 + dice.below(6);
            let scores: Vec<(String, f32)> =
                names.iter().map(|name| (name.clone(), -(dice.below(steps) as f32))).collect();
            let borrowed: Vec<(&str, f32)> = scores.iter().map(|(n, s)| (n.as_str(), *s)).collect();
            let ranking = exam.rank(&q.id, &borrowed).unwrap();

            // The whole order must be one that respects scores and the tie rule.
            let score = |name: &String| scores.iter().find(|(n, _)| n == name).unwrap().1;
            assert!(ranking.gallery.windows(2).all(|w| score(&w[0]) >= score(&w[1])));
            assert_eq!(ranking.gallery.iter().collect::<HashSet<_>>().len(), n);
            let first = ranking.gallery.iter().position(|name| q.targets.contains(name)).map(|i| i + 1);
            assert_eq!(first, slow_rank(&scores, &q.targets, protocol.ties));

            let mut order = ranking.gallery.clone();
            if protocol.drop_reference {
                order.retain(|name| name != &q.reference);
            }
            let relevant = |order: &[String]| order.iter().map(|name| q.targets.contains(name)).collect();
            slow.push(Slow { relevant: relevant(&order), targets: q.targets.len() });
            if let Some(subset) = &q.subset {
                order.retain(|name| subset.contains(name));
                slow_subset.push(Slow { relevant: relevant(&order), targets: 1 });
            }
            rankings.push(ranking);
            asked += 1;
        }
        dice.shuffle(&mut rankings);
        let mut marker = exam.marker().unwrap();
        for Ranking { query, gallery } in &rankings {
            marker.add(query, gallery.iter().map(String::as_str)).unwrap();
        }
        let few = benchmarks::bootstrap::Bootstrap { resamples: 40, seed: 1 };
        let all = marker.finish(few).unwrap().all;

        let mean = |of: &dyn Fn(&Slow) -> f64, over: &[Slow]| over.iter().map(of).sum::<f64>() / over.len() as f64;
        let close = |got: f64, want: f64| assert!((got - want).abs() < 1e-9, "{got} is not {want}");
        for k in [1, 2, 5] {
            let slow_recall = |s: &Slow| if protocol.right == RightRule::Share { s.share(k) } else { s.recall(k) };
            close(all.recall_at(k).unwrap().value, mean(&slow_recall, &slow));
        }
        for k in [1, 3, 5] {
            close(all.average_precision_at(k).unwrap().value, mean(&|s| s.average_precision(k), &slow));
            close(all.get(Mark::Ndcg(k)).unwrap().value, mean(&|s| s.ndcg(k), &slow));
        }
        let two = all.recall_at(1).unwrap().value + all.average_precision_at(5).unwrap().value;
        assert!((all.averages["Avg"].value - two / 2.0).abs() < 2e-9);
        for k in [1, 2, 3] {
            close(all.subset_recall_at(k).unwrap().value, mean(&|s| s.recall(k), &slow_subset));
        }
        let mut ranks: Vec<f64> =
            slow.iter().map(|s| (1 + s.relevant.iter().position(|r| *r).unwrap()) as f64).collect();
        close(all.mean_rank.unwrap().value, ranks.iter().sum::<f64>() / 50.0);
        ranks.sort_by(f64::total_cmp);
        close(all.median_rank.unwrap().value, (ranks[24] + ranks[25]) / 2.0);
    }
    assert!(asked >= 1_000, "the property was tried on {asked} rankings only");
}
