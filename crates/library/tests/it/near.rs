//! Who is near: the fast answer is the slow answer.

use domain::{Embedding, Expr, ItemId, Kind, Probe, Sim, Term};
use library::bench::Random;
use library::{Error, Filter, Library};

use crate::common::*;

/// The fast scan against the full f32 ranking of the same library: same items, same bits.
#[track_caller]
fn same_as_full(library: &Library, probe: &Probe, limit: usize, filter: &Filter) {
    let fast = library.nearest(probe, limit, filter).unwrap();
    let full = library.ranking(probe, filter).unwrap();
    assert_eq!(fast.len(), limit.min(full.len()));
    for (a, b) in fast.iter().zip(&full) {
        assert_eq!((a.item, a.score.to_bits(), &a.parts), (b.item, b.score.to_bits(), &b.parts));
    }
}

#[test]
fn the_scan_equals_the_definition() {
    let mut random = Random(1);
    for (rows, dim, n) in [(1, 256, 5000), (1, 7, 3000), (4, 24, 1500)] {
        let space = space("toy", rows, dim);
        let mut library = Library::in_memory().unwrap();
        library.bind(&space, &canary(&space)).unwrap();
        let vectors = fill(&mut library, &space, n, &mut random);
        let items: Vec<(i64, &Embedding)> = vectors.iter().enumerate().map(|(i, v)| (i as i64 + 1, v)).collect();
        for _ in 0..5 {
            let probe = probe(&space, embedding(&space, &mut random));
            let full = library.ranking(&probe, &Filter::default()).unwrap();
            let slow = slow(&probe, &items);
            assert_eq!(full.len(), n);
            for (hit, (_, score)) in full.iter().zip(&slow) {
                assert!((f64::from(hit.score) - score).abs() < 1e-5, "{hit:?} {score}");
            }
            for limit in [0, 1, 10, 100, n / 8, n - 1, n, n + 5] {
                same_as_full(&library, &probe, limit, &Filter::default());
            }
        }
    }
}

#[test]
fn weighted_sums_fold_and_stay_exact() {
    let mut random = Random(2);
    let space = space("toy", 1, 64);
    let mut library = Library::in_memory().unwrap();
    library.bind(&space, &canary(&space)).unwrap();
    fill(&mut library, &space, 4000, &mut random);
    for _ in 0..20 {
        // Parts that nearly cancel are the hard case for the bound.
        let a = embedding(&space, &mut random);
        let mut b = a.clone();
        b.values[0] += 1e-3;
        let parts = vec![(1.0, a), (-0.999, b), (0.1, embedding(&space, &mut random))];
        same_as_full(&library, &sum(&space, parts), 10, &Filter::default());
    }
}

#[test]
fn duplicates_ties_and_clusters_are_exact() {
    let mut random = Random(3);
    let space = space("toy", 1, 32);
    let mut library = Library::in_memory().unwrap();
    library.bind(&space, &canary(&space)).unwrap();
    let centre = embedding(&space, &mut random);
    let mut items = Vec::new();
    for i in 0..4000 {
        let mut v = if i % 3 == 0 { centre.clone() } else { embedding(&space, &mut random) };
        if i % 3 == 0 && i % 2 == 0 {
            v.values[i % 32] += 1e-6 * random.normal();
        }
        if i == 77 {
            v.values.iter_mut().for_each(|x| *x *= 1e6);
        }
        if i == 78 {
            v.values.fill(0.0);
        }
        items.push(item(&format!("{i}")).with_vector(&space, v));
    }
    library.put(&items).unwrap();
    for query in [centre, embedding(&space, &mut random), Embedding::single(vec![0.0; 32])] {
        for limit in [1, 10, 300] {
            same_as_full(&library, &probe(&space, query.clone()), limit, &Filter::default());
        }
    }
}

#[test]
fn filters_choose() {
    let mut random = Random(4);
    let space = space("toy", 1, 16);
    let mut library = Library::in_memory().unwrap();
    library.bind(&space, &canary(&space)).unwrap();
    let items: Vec<_> = (0..3000)
        .map(|i| {
            let mut item = item(&format!("{i}")).with_vector(&space, embedding(&space, &mut random));
            item.kind = if i % 4 == 0 { Kind::Clip } else { Kind::Picture };
            item
        })
        .collect();
    library.put(&items).unwrap();
    let probe = probe(&space, embedding(&space, &mut random));
    let all = library.ranking(&probe, &Filter::default()).unwrap();
    let best: Vec<ItemId> = all[..5].iter().map(|h| h.item).collect();

    let exclude = Filter { exclude: &best, ..Filter::default() };
    assert_eq!(library.nearest(&probe, 3, &exclude).unwrap(), all[5..8]);
    same_as_full(&library, &probe, 10, &exclude);

    let only = Filter { only: Some(&best[1..4]), exclude: &best[2..3], ..Filter::default() };
    assert_eq!(ids(&library.nearest(&probe, 9, &only).unwrap()), [best[1].0, best[3].0]);

    let clips = Filter { kind: Some(Kind::Clip), ..Filter::default() };
    same_as_full(&library, &probe, 10, &clips);
    assert_eq!(library.ranking(&probe, &clips).unwrap().len(), 750);
    assert!(library.nearest(&probe, 50, &clips).unwrap().iter().all(|h| (h.item.0 - 1) % 4 == 0));
    assert_eq!(library.rank_of(&probe, best[4], &Filter::default()).unwrap(), Some(5));
    assert_eq!(library.rank_of(&probe, best[0], &exclude).unwrap(), None);
}

#[test]
fn expressions_over_several_spaces_follow_the_definition() {
    let mut random = Random(5);
    let (one, many) = (space("one", 1, 12), space("many", 3, 8));
    let mut library = Library::in_memory().unwrap();
    library.bind(&one, &canary(&one)).unwrap();
    library.bind(&many, &canary(&many)).unwrap();
    let mut kept = Vec::new();
    for i in 0..300 {
        let (a, b) = (embedding(&one, &mut random), embedding(&many, &mut random));
        let mut new = item(&format!("{i}")).with_vector(&one, a.clone());
        // Every tenth lacks the second vector, and is no answer to who asks for both.
        if i % 10 != 0 {
            new = new.with_vector(&many, b.clone());
            kept.push((i as i64 + 1, a, b));
        }
        library.put(&[new]).unwrap();
    }
    for sim in [Sim::Dot, Sim::MaxPair, Sim::MeanMax] {
        let terms = vec![
            Term { name: "a", space: one.clone(), query: embedding(&one, &mut random), sim: Sim::Dot },
            Term { name: "b", space: many.clone(), query: embedding(&many, &mut random), sim },
        ];
        let product = Expr::Product(Box::new(Expr::Term(0)), Box::new(Expr::Term(1)));
        let probe = Probe { terms, expr: Expr::Sum(vec![(0.3, Expr::Term(0)), (0.7, product)]) };
        let hits = library.ranking(&probe, &Filter::default()).unwrap();
        assert_eq!(hits.len(), kept.len());
        let by_id: std::collections::HashMap<i64, &domain::Hit> = hits.iter().map(|h| (h.item.0, h)).collect();
        for (id, a, b) in &kept {
            let sims = [Sim::Dot.between(&probe.terms[0].query, a), sim.between(&probe.terms[1].query, b)];
            let hit = by_id[id];
            assert!((hit.score - probe.expr.eval(&sims)).abs() < 1e-5);
            assert!((hit.parts[1] - sims[1]).abs() < 1e-5);
        }
        assert!(hits.is_sorted_by(|a, b| (b.score, a.item) <= (a.score, b.item)));
        assert_eq!(library.nearest(&probe, 7, &Filter::default()).unwrap(), hits[..7]);
    }
}

#[test]
fn a_batch_is_its_probes_one_by_one() {
    let mut random = Random(6);
    let space = space("toy", 1, 40);
    let mut library = Library::in_memory().unwrap();
    library.bind(&space, &canary(&space)).unwrap();
    fill(&mut library, &space, 3000, &mut random);
    let probes: Vec<Probe> = (0..70).map(|_| probe(&space, embedding(&space, &mut random))).collect();
    let excluded: Vec<[ItemId; 1]> = (0..70).map(|i| [ItemId(i + 1)]).collect();
    let filters: Vec<Filter> = excluded.iter().map(|e| Filter { exclude: e, ..Filter::default() }).collect();
    let together = library.nearest_batch(&probes, 10, &filters).unwrap();
    for ((probe, filter), hits) in probes.iter().zip(&filters).zip(&together) {
        assert_eq!(*hits, library.nearest(probe, 10, filter).unwrap());
    }
    assert_eq!(library.nearest_batch(&probes, 10, &[Filter::default()]).unwrap().len(), 70);
    assert!(matches!(library.nearest_batch(&probes, 10, &filters[..3]), Err(Error::Probe(_))));
}

#[test]
fn bad_probes_are_refused_by_name() {
    let (kept, other) = (space("kept", 1, 4), space("other", 1, 4));
    let mut library = Library::in_memory().unwrap();
    let ask = |library: &Library, probe: &Probe| library.nearest(probe, 3, &Filter::default()).unwrap_err();
    let good = probe(&kept, Embedding::single(vec![1.0; 4]));
    assert!(matches!(ask(&library, &good), Error::NoSpace { .. }));
    library.bind(&kept, &canary(&kept)).unwrap();
    assert_eq!(library.nearest(&good, 3, &Filter::default()).unwrap(), []);

    let error = ask(&library, &probe(&other, Embedding::single(vec![1.0; 4])));
    assert!(matches!(error, Error::SpaceDiffers { .. }));
    assert!(error.to_string().contains("kept") && error.to_string().contains("other"), "{error}");

    for bad in [vec![1.0; 3], vec![], vec![1.0, f32::NAN, 0.0, 0.0], vec![1.0; 8]] {
        let mut probe = good.clone();
        probe.terms[0].query = Embedding { dim: if bad.len() == 8 { 4 } else { bad.len() }, values: bad };
        assert!(matches!(ask(&library, &probe), Error::Vector { .. }), "{probe:?}");
    }
    let mut probe = good.clone();
    probe.expr = Expr::Sum(vec![(1.0, Expr::Term(1))]);
    assert!(matches!(ask(&library, &probe), Error::Probe(_)));
    probe.expr = Expr::Sum(vec![(f32::INFINITY, Expr::Term(0))]);
    assert!(matches!(ask(&library, &probe), Error::Probe(_)));
    probe.terms.clear();
    assert!(matches!(ask(&library, &probe), Error::Probe(_)));
}
