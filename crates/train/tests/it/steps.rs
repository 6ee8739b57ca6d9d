//! What one step of composition training does, on a tiny world.

use crate::TURN;
use burn::tensor::{Distribution, Tensor};
use domain::Split;
use methods::imagine::{self, Begin, Composition, Every, Followed, Imagine, Target};
use methods::{Gallery, Model, covr2};
use nets::Device;
use nets::blip2::{self, Blip2, pool};
use nets::weights::{Tensors, floats};
use nets::words::vocab_from_texts;
use scenes::{Rng, Set, World};
use std::collections::BTreeSet;
use train::adapt::{Adapt, Fixed, Misfit};
use train::compose::{self, Compose, Head, Learns, Net, Settings};
use train::questions::{Asked, also_right, questions};
use train::run::{Pauses, Task};
use train::{Drawn, Source, Tokens, pretrain, train};

struct Small {
    set: Set,
    model: Model,
    drawn: Drawn,
}

/// A tiny world, drawn, and a model that has seen nothing.
fn small() -> Small {
    let set = scenes::build(&World { seed: 2026, train: 6, val: 0, test: 0 });
    let texts: Vec<&str> = set.triplets.iter().map(|t| t.text.as_str()).collect();
    let cpu = nets::cpu();
    cpu.seed(21);
    let sizes = blip2::Config { vocab: 200, ..blip2::Config::tiny() };
    let vocab = vocab_from_texts(texts.into_iter(), sizes.vocab);
    let model = Model::new("tiny", "for tests", sizes, None, vocab, &cpu).unwrap();
    // Weights are drawn when first read: read them here, so that they hang on no later seed.
    drop(model.backbone.tensors());
    let drawn = Drawn::new(&set, Split::Train, &model.manifest.view, model.manifest.sampling, &|_, _| ());
    Small { set, model, drawn }
}

impl Small {
    fn questions(&self) -> Vec<Vec<Asked>> {
        questions(&self.set, &self.drawn, &pretrain::families(&self.drawn), &self.model)
    }

    /// Only the questions about something that moves.
    fn moving(&self) -> Vec<Vec<Asked>> {
        let frames = self.drawn.frames();
        let mut families = self.questions();
        for family in &mut families {
            family.retain(|asked| frames[asked.reference] == 2);
        }
        families.retain(|family| !family.is_empty());
        assert!(!families.is_empty(), "nothing moves");
        families
    }
}

const SETTINGS: Settings = Settings {
    steps: 60,
    families: 4,
    triplets: 4,
    rate: 3e-3,
    warmup: 5,
    decay: 0.05,
    chunk: 0,
    learns: Learns::QFormer,
    random_frames: 0,
};

fn head() -> imagine::Config {
    imagine::Config { prototypes: 8, top_k: 3, silent_start: false, ..imagine::Config::default() }
}

/// What a step gives under some settings, from the same weights.
fn step(small: &Small, tokens: &Tokens, head: Head, chunk: usize) -> (train::run::Step, Net) {
    step_on(small, tokens, head, Settings { chunk, ..SETTINGS }, None)
}

/// The same on other questions.
fn step_on(
    small: &Small,
    tokens: &Tokens,
    head: Head,
    settings: Settings,
    questions: Option<Vec<Vec<Asked>>>,
) -> (train::run::Step, Net) {
    let device = nets::cpu().autodiff();
    device.seed(4);
    let gallery = (head.target() == Target::Frozen).then(|| Gallery::of(small.model.backbone.blip2().unwrap()));
    let questions = questions.unwrap_or_else(|| small.questions());
    let flat = questions.concat();
    let frozen = gallery.map(|g| compose::frozen(&small.model, &g, tokens, &flat).unwrap());
    let captions: Vec<String> = small.drawn.items.iter().map(|i| i.caption.clone()).collect();
    let task = Compose {
        settings: &settings,
        model: &small.model,
        tokens,
        names: captions.clone(),
        questions,
        val_tokens: tokens,
        val_questions: Vec::new(),
        frozen: frozen.map(|f| (f.clone(), f)),
        captions: matches!(head, Head::Covr2(_)).then(|| compose::caption_rows(&small.model, &captions).unwrap()),
        seed: 9,
        device: device.clone(),
        head,
    };
    let sizes = small.model.manifest.backbone.blip2().unwrap();
    let backbone = small.model.backbone.tensors().fill(Blip2::new(sizes, &device), &device).unwrap();
    let own = match &task.head {
        Head::Imagine(c) => Some(Imagine::new(c, sizes.embed, &device)),
        Head::Covr2(_) => None,
    };
    let net = Net::begin(&task, backbone, own);
    (task.step(&net, 0), net)
}

#[test]
fn gradients_in_chunks_are_those_of_the_whole_batch() {
    let _turn = TURN.lock();
    let small = small();
    let tokens = Tokens::in_memory(&small.model, &small.drawn, &|_, _| (), &|| false).unwrap().unwrap();
    let covr2 = covr2::Config { caption_weight: 0.5, ..covr2::Config::default() };
    for (head, random_frames) in [
        (Head::Imagine(head()), 0),
        (Head::Imagine(head()), 1),
        (Head::Imagine(imagine::Config { target: Target::Frozen, library_gradient: true, ..head() }), 0),
        (Head::Covr2(covr2.clone()), 0),
        (Head::Covr2(covr2::Config { target: Target::Online, ..covr2 }), 1),
    ] {
        let step = |chunk| {
            let questions = (random_frames > 0).then(|| small.moving());
            step_on(&small, &tokens, head.clone(), Settings { chunk, random_frames, ..SETTINGS }, questions).0
        };
        let whole = step(0);
        assert!(whole.grads.length() > 1e-3);
        for chunk in [1, 5, 8] {
            let parts = step(chunk);
            assert!((parts.loss - whole.loss).abs() < 1e-5 * whole.loss.abs().max(1.0));
            assert_eq!(parts.grads.map.keys().collect::<Vec<_>>(), whole.grads.map.keys().collect::<Vec<_>>());
            for (name, ours) in &parts.grads.map {
                let theirs = &whole.grads.map[name];
                let size = theirs.iter().fold(0.0f32, |m, g| m.max(g.abs())).max(1.0);
                let gap = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(gap < 1e-5 * size, "{head:?}, chunks of {chunk}: {name} is off by {gap} of {size}");
            }
        }
        let trained: Vec<&str> = whole.grads.map.keys().map(String::as_str).collect();
        assert!(trained.iter().any(|n| n.starts_with("backbone.qformer.query_tokens")));
        assert!(!trained.iter().any(|n| n.contains("vit.") || n.contains("library")), "{trained:?}");
    }
}

#[test]
fn frames_are_drawn_from_those_that_the_rule_takes() {
    let _turn = TURN.lock();
    let small = small();
    let tokens = Tokens::in_memory(&small.model, &small.drawn, &|_, _| (), &|| false).unwrap().unwrap();
    let net = small.model.backbone.blip2().unwrap();
    let clip = small.drawn.frames().iter().position(|n| *n == 2).expect("a scene that moves");
    let still = small.drawn.frames().iter().position(|n| *n == 1).expect("a scene that stands still");
    let shown = |sight| floats(pool(net.image_tokens(&sight)));
    let drawn = |item: usize, n: usize, seed: u64| {
        shown(tokens.glimpse(net, [(item, Rng::new(seed))].into_iter(), n, &small.model.device))
    };
    let whole = |item: usize| shown(tokens.sight(net, &[item], &small.model.device));
    // Each of the two alone, now and then.
    let seen: BTreeSet<Vec<u32>> =
        (0..20).map(|seed| drawn(clip, 1, seed).iter().map(|x| x.to_bits()).collect()).collect();
    assert_eq!(seen.len(), 2);
    assert!(!seen.contains(&whole(clip).iter().map(|x| x.to_bits()).collect::<Vec<_>>()));
    for seed in 0..4 {
        assert_eq!(drawn(clip, 1, seed), drawn(clip, 1, seed), "the same draw shows the same");
        // As many as there are, in time's order; of a picture there is one.
        assert_eq!(drawn(clip, 2, seed), whole(clip));
        assert_eq!(drawn(clip, 9, seed), whole(clip));
        assert_eq!(drawn(still, 1, seed), whole(still));
    }
    // A step looks at what was drawn.
    let loss = |random_frames| {
        let settings = Settings { random_frames, ..SETTINGS };
        step_on(&small, &tokens, Head::Imagine(head()), settings, Some(small.moving())).0.loss
    };
    assert_eq!(loss(1), loss(1));
    assert_ne!(loss(1), loss(0));
    assert_eq!(loss(2), loss(0));
}

#[test]
fn tokens_on_disk_are_those_in_memory_and_go_on_after_a_kill() {
    let _turn = TURN.lock();
    let small = small();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train.f16");
    let open =
        |model: &Model, stop: &dyn Fn() -> bool| Tokens::on_disk(&path, model, &small.drawn, &|_, _| (), stop).unwrap();
    let memory = Tokens::in_memory(&small.model, &small.drawn, &|_, _| (), &|| false).unwrap().unwrap();
    // Stopped after one batch, then cut in the middle of it, then made whole.
    let asked = std::cell::Cell::new(0);
    let once = || asked.replace(asked.get() + 1) > 0;
    assert!(open(&small.model, &once).is_none());
    let part = std::fs::metadata(&path).unwrap().len();
    assert!(part > 0 && part < Tokens::bytes(&small.model, &small.drawn).unwrap());
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(part - 7).unwrap();
    let disk = open(&small.model, &|| false).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), Tokens::bytes(&small.model, &small.drawn).unwrap());
    let cpu = nets::cpu();
    let all: Vec<usize> = (0..disk.items()).collect();
    let seen = |t: &Tokens| floats(t.sight(small.model.backbone.blip2().unwrap(), &all, &cpu).tokens);
    assert_eq!(seen(&disk), seen(&memory));
    drop(disk);
    // Whole: nothing is computed again, which a stop at once would prevent.
    assert!(open(&small.model, &|| true).is_some());
    // Of another network: nothing of it is kept.
    let mut other = self::small().model;
    cpu.seed(22);
    other.backbone = nets::Backbone::new(&other.manifest.backbone, &cpu);
    assert!(open(&other, &|| true).is_none());
}

/// A question without words of its own.
fn question(row: usize, reference: usize, targets: &[usize]) -> Asked {
    let (id, targets) = (format!("q{row}"), targets.to_vec());
    Asked { id, row, reference, words: Vec::new(), targets, frame_scores: Vec::new() }
}

/// Vectors from anywhere: bunches that a question moves from one to the next.
fn anywhere() -> (Fixed, Vec<Vec<Asked>>) {
    let dim = 12;
    let mut rng = scenes::Rng::keyed(1, &[2]);
    let mut noise = |size: f32| (0..dim).map(|_| size * (rng.below(2001) as f32 / 1000.0 - 1.0)).collect::<Vec<f32>>();
    let places: Vec<Vec<f32>> = (0..8).map(|_| noise(1.0)).collect();
    let moves: Vec<Vec<f32>> = (0..8).map(|_| noise(1.0)).collect();
    let (mut items, mut words, mut asked) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..64 {
        items.extend(places[i % 8].iter().zip(noise(0.2)).map(|(p, n)| p + n));
    }
    for row in 0..120 {
        let (reference, by) = (row % 64, row % 5);
        words.extend(moves[by].iter().zip(noise(0.1)).map(|(p, n)| p + n));
        let target = (reference + by + 1) % 64;
        asked.push(question(row, reference, &[target]));
    }
    let fixed = Fixed::sums(items, words, dim, &asked).unwrap();
    (fixed, asked.chunks(10).map(<[Asked]>::to_vec).collect())
}

#[test]
fn a_head_learns_on_features_from_anywhere_and_its_libraries_stay_diverse() {
    let _turn = TURN.lock();
    let (features, questions) = anywhere();
    let flat: Vec<Asked> = questions.iter().flatten().cloned().collect();
    let device = nets::cpu().autodiff();
    device.seed(31);
    let task = Adapt {
        settings: &SETTINGS,
        features: &features,
        questions: &questions,
        val_features: &features,
        val_questions: &flat,
        names: &[],
        seed: 5,
        device: device.clone(),
        head: imagine::Config { prototypes: 16, top_k: 4, ..imagine::Config::default() },
    };
    let net = task.begin(Imagine::new(&task.head, 12, &device));
    let begun = Tensors::of(&net).map["picture_library.vectors"].clone();
    let mark = |net: &Imagine, name: &str| task.validate(net).into_iter().find(|m| m.0 == name).unwrap().1;
    let before = (task.step(&net, 0).loss, mark(&net, "likeness"));
    let dir = tempfile::tempdir().unwrap();
    let plan = SETTINGS.plan(nets::layers::Precision::F32, Pauses { checkpoint: 20, validate: 20 }, dir.path());
    let (net, _) = train(&task, net, &plan, "", &mut |_| (), &|| false).unwrap();
    let after = (task.step(&net, 0).loss, mark(&net, "likeness"));
    assert!(after.0 < 0.8 * before.0, "nothing was learnt: loss {} → {}", before.0, after.0);
    // The library moved, and neither came together nor fell silent.
    assert_ne!(Tensors::of(&net).map["picture_library.vectors"], begun);
    assert!(after.1 < before.1.max(0.0) + 0.3, "the library came together: {} → {}", before.1, after.1);
    assert!(mark(&net, "usage") > 0.5, "few prototypes serve everyone: {}", mark(&net, "usage"));
    // And it was written down.
    let journal = std::fs::read_to_string(dir.path().join("adapt.metrics.jsonl")).unwrap();
    for mark in ["likeness", "likeness_words", "usage", "usage_words", "spread", "confidence"] {
        assert!(journal.contains(&format!("\"{mark}\":")), "{mark} is not in the journal");
    }
    // Prototypes travel in the checkpoint.
    let saved = train::Checkpoint::at(dir.path(), "adapt").read("").unwrap().unwrap();
    assert_eq!(saved.net.map["picture_library.vectors"], Tensors::of(&net).map["picture_library.vectors"]);
}

#[test]
fn features_that_do_not_fit_are_refused() {
    let asked = |reference| vec![question(0, reference, &[0])];
    let refused = |items: Vec<f32>, words: Vec<f32>, dim, reference| -> String {
        let Misfit(why) = Fixed::sums(items, words, dim, &asked(reference)).unwrap_err();
        why
    };
    assert!(refused(vec![1.0; 5], vec![1.0; 2], 2, 0).contains("no rows of 2"));
    assert!(refused(vec![1.0; 4], vec![1.0; 4], 2, 0).contains("1 questions and words of 2"));
    assert!(refused(vec![1.0; 4], vec![1.0; 2], 2, 7).contains("item 7 of 2"));
    assert!(refused(vec![f32::NAN; 4], vec![1.0; 2], 2, 0).contains("not finite"));
    assert!(refused(Vec::new(), Vec::new(), 0, 0).contains("no rows"));
}

#[test]
fn frozen_targets_stay_and_the_query_side_moves() {
    let _turn = TURN.lock();
    let small = small();
    let tokens = Tokens::in_memory(&small.model, &small.drawn, &|_, _| (), &|| false).unwrap().unwrap();
    let (step, _) = step(&small, &tokens, Head::Covr2(covr2::Config::default()), 0);
    // Neither what the gallery shares with the query nor what only the gallery has.
    for name in ["backbone.frame_positions", "backbone.vision_proj.weight", "backbone.ln_vision.gamma"] {
        assert!(!step.grads.map.contains_key(name), "{name} would move the gallery");
    }
    assert!(step.grads.map.contains_key("backbone.text_proj.weight"));
}

/// The stage on features from anywhere, under some settings.
fn adapter<'a>(features: &'a Fixed, questions: &'a [Vec<Asked>], head: imagine::Config, device: &Device) -> Adapt<'a> {
    Adapt {
        settings: &SETTINGS,
        features,
        questions,
        val_features: features,
        val_questions: &[],
        names: &[],
        seed: 5,
        device: device.clone(),
        head,
    }
}

#[test]
fn libraries_that_follow_by_the_epoch_move_at_its_end_only() {
    let _turn = TURN.lock();
    let (features, questions) = anywhere();
    let device = nets::cpu().autodiff();
    // Twelve families in batches of four: three steps an epoch.
    let moved = |follow_every: Every| -> Vec<bool> {
        device.seed(31);
        let task = adapter(&features, &questions, imagine::Config { follow_every, ..head() }, &device);
        let mut net = task.begin(Imagine::new(&task.head, 12, &device));
        let libraries =
            |net: &Imagine| [floats(net.picture_library.vectors.val()), floats(net.words_library.vectors.val())];
        let step = |step: usize| {
            let before = libraries(&net);
            let carry = task.step(&net, step).carry;
            net = task.after(net.clone(), step, carry);
            let [pictures, words] = libraries(&net);
            assert_eq!(pictures != before[0], words != before[1], "one library follows without the other");
            pictures != before[0]
        };
        (0..7).map(step).collect()
    };
    assert_eq!(moved(Every::Step), [true; 7]);
    assert_eq!(moved(Every::Epoch), [false, false, true, false, false, true, false]);
}

#[test]
fn the_picture_library_follows_references_or_targets_too() {
    let _turn = TURN.lock();
    let small = small();
    let tokens = Tokens::in_memory(&small.model, &small.drawn, &|_, _| (), &|| false).unwrap().unwrap();
    let of = |followed| step(&small, &tokens, Head::Imagine(imagine::Config { followed, ..head() }), 0);
    let ((references, net), (both, _)) = (of(Followed::References), of(Followed::Both));
    let [pictures, words] = &references.carry[..] else { panic!("a library without features to follow") };
    let [pictures_too, words_too] = &both.carry[..] else { panic!("a library without features to follow") };
    let asked = SETTINGS.batches(9);
    let all = small.questions();
    let targets: Vec<usize> = asked.at(0, &all).iter().map(|a| a.targets[0]).collect();
    let seen = pool(net.backbone.image_tokens(&tokens.sight(&net.backbone, &targets, &nets::cpu().autodiff())));
    assert_eq!(floats(words.clone()), floats(words_too.clone()), "texts have no targets");
    let expected = [floats(pictures.clone()), floats(seen.clone())].concat();
    assert_eq!(pictures_too.dims()[0], 2 * targets.len());
    let gap = floats(pictures_too.clone()).iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(gap < 1e-6, "references, then targets: off by {gap}");
    assert_ne!(floats(seen), floats(pictures.clone()));

    // The same on features from anywhere.
    let (features, questions) = anywhere();
    let device = nets::cpu().autodiff();
    let of = |followed| {
        device.seed(31);
        let task = adapter(&features, &questions, imagine::Config { followed, ..head() }, &device);
        let net = task.begin(Imagine::new(&task.head, 12, &device));
        let carry = task.step(&net, 0).carry;
        let rows = carry[0].dims()[0];
        (rows, floats(task.after(net, 0, carry).picture_library.vectors.val()))
    };
    let (references, both) = (of(Followed::References), of(Followed::Both));
    assert_eq!(both.0, 2 * references.0);
    assert_ne!(both.1, references.1);
}

#[test]
fn a_target_that_is_right_for_another_query_is_no_negative_of_it() {
    let _turn = TURN.lock();
    let device = nets::cpu().autodiff();
    device.seed(3);
    let asked = |reference: usize, targets: &[usize]| question(0, reference, targets);
    // Two with the same target, a third for which theirs is right too, and one that takes a reference of theirs.
    let all = [asked(0, &[5]), asked(1, &[5]), asked(2, &[6, 5]), asked(3, &[0])];
    let all: Vec<&Asked> = all.iter().collect();
    let same = also_right(&all, &device);
    let wanted = [[false, true, false, false], [true, false, false, false], [true, true, false, false], [false; 4]];
    assert_eq!(same.clone().into_data().iter::<bool>().collect::<Vec<_>>(), wanted.concat());

    let random = || Tensor::<2>::random([4, 6], Distribution::Normal(0.0, 1.0), &device);
    // The first two targets are one item.
    let (one, rest) = (random().slice([0..1, 0..6]), random().slice([0..2, 0..6]));
    let target = Tensor::cat(vec![one.clone(), one, rest], 0);
    // Queries near their own targets, so that what else counts is another near one.
    let composed = target.clone() + random() * 0.2;
    let f = imagine::Features { reference: random(), words: random(), composed, target };
    // The definition, for a query that is the composed feature as it is.
    let unit = |t: &Tensor<2>| {
        let rows = floats(t.clone());
        let rows =
            rows.chunks_exact(6).map(|r| r.iter().map(|v| v / r.iter().map(|v| v * v).sum::<f32>().sqrt()).collect());
        rows.collect::<Vec<Vec<f32>>>()
    };
    let (queries, targets) = (unit(&f.composed), unit(&f.target));
    let expected = |mask: bool| -> f32 {
        let of = |i: usize| {
            let e = |j: usize| (queries[i].iter().zip(&targets[j]).map(|(a, b)| a * b).sum::<f32>() / 0.07).exp();
            let others: f32 = (0..4).filter(|j| !(mask && wanted[i][*j])).map(e).sum();
            -(e(i) / others).ln()
        };
        (0..4).map(of).sum::<f32>() / 4.0
    };
    for mask_duplicates in [true, false] {
        let c = imagine::Config { mask_duplicates, composition: Composition::Concrete, ..head() };
        let loss = imagine::loss(&Imagine::new(&c, 6, &device), f.clone(), Some(same.clone()), &c);
        let (ours, wanted) = (floats(loss.classification)[0], expected(mask_duplicates));
        assert!(
            (ours - wanted).abs() < 1e-4 * wanted,
            "mask_duplicates = {mask_duplicates}: {ours}, expected {wanted}"
        );
    }
    assert!(expected(false) > expected(true) + 0.3, "the same target as a negative costs ln 2 twice in four");
}

#[test]
fn prototypes_that_begin_as_slots_are_what_each_query_saw() {
    let _turn = TURN.lock();
    let small = small();
    let tokens = Tokens::in_memory(&small.model, &small.drawn, &|_, _| (), &|| false).unwrap().unwrap();
    let sizes = small.model.manifest.backbone.blip2().unwrap();
    let k = sizes.queries;
    let of = |begin| {
        let c = imagine::Config { begin, prototypes: k, ..head() };
        let head = step(&small, &tokens, Head::Imagine(c), 0).1.imagine.unwrap();
        [floats(head.picture_library.vectors.val()), floats(head.words_library.vectors.val())]
    };
    let ([slots, words], [samples, words_of_samples]) = (of(Begin::Slots), of(Begin::Samples));
    assert_eq!(words, words_of_samples, "a text has no slots");
    // The same samples as are drawn for it: four for each prototype.
    let mut rng = scenes::Rng::keyed(9, &[5, 0]);
    let all: Vec<Asked> = small.questions().concat();
    let references: Vec<usize> = (0..k * 4).map(|_| all[rng.below(all.len())].reference).collect();
    let net = small.model.backbone.blip2().unwrap();
    let seen = floats(net.image_tokens(&tokens.sight(net, &references, &nets::cpu()))); // (N, Q, E)
    for (j, prototype) in slots.chunks_exact(sizes.embed).enumerate() {
        let mut mean = vec![0.0; sizes.embed];
        for sample in seen.chunks_exact(k * sizes.embed) {
            sample[j * sizes.embed..].iter().zip(&mut mean).for_each(|(v, m)| *m += v);
        }
        let length = mean.iter().map(|v| v * v).sum::<f32>().sqrt();
        let gap = mean.iter().zip(prototype).map(|(m, p)| (m / length - p).abs()).fold(0.0, f32::max);
        assert!(gap < 1e-5, "prototype {j} is not what slot {j} saw: off by {gap}");
    }
    assert_ne!(slots, samples);
}

#[test]
fn frames_of_frozen_targets_count_by_how_well_the_words_fit_them() {
    let _turn = TURN.lock();
    let small = small();
    let tokens = Tokens::in_memory(&small.model, &small.drawn, &|_, _| (), &|| false).unwrap().unwrap();
    let net = small.model.backbone.blip2().unwrap();
    let gallery = Gallery::of(net);
    let frames = small.drawn.frames();
    // Families that move, so that a batch is of them.
    let moves = |a: &Asked| frames[a.targets[0]] == 2;
    let moving = || small.questions().into_iter().filter(|f| f.iter().any(moves)).collect::<Vec<_>>();
    let scored = |scores: &[f32]| -> Vec<Vec<Asked>> {
        let mut questions = moving();
        for (row, asked) in questions.iter_mut().flatten().enumerate() {
            asked.row = row;
            asked.frame_scores = if moves(asked) { scores.to_vec() } else { Vec::new() };
        }
        questions
    };
    // The loss of CoVR-2 hangs on them.
    let loss = |scores: &[f32]| {
        let head = Head::Covr2(covr2::Config { caption_weight: 0.0, ..covr2::Config::default() });
        step_on(&small, &tokens, head, SETTINGS, Some(scored(scores))).0.loss
    };
    let (first, last, even) = (loss(&[0.9, 0.1]), loss(&[0.1, 0.9]), loss(&[0.3, 0.3]));
    assert!((first - last).abs() > 1e-4 && (first - even).abs() > 1e-4, "{first} {last} {even}");
    // Scores of another number of frames are as none (uniform).
    assert_eq!(loss(&[0.3, 0.3, 0.4]), even);

    // Each frame alone, as a drawn item of one frame, weighted by softmax(score / 0.1).
    let asked = scored(&[0.31, 0.28]).concat();
    let frozen = compose::frozen(&small.model, &gallery, &tokens, &asked).unwrap();
    let alone =
        small.drawn.items.iter().zip(&small.drawn.seen).flat_map(|(item, seen)| {
            seen.frames.iter().map(|f| (item.clone(), methods::Seen { frames: vec![f.clone()] }))
        });
    let (items, seen): (Vec<_>, Vec<_>) = alone.unzip();
    let split = Drawn { items, seen, index: Default::default() };
    let single = Tokens::in_memory(&small.model, &split, &|_, _| (), &|| false).unwrap().unwrap();
    let share = 1.0 / (1.0 + (-0.3f32).exp()); // (0.31 − 0.28) / 0.1 = 0.3
    assert!(asked.iter().filter(|a| moves(a)).count() > 10, "hardly anything moves");
    for a in &asked {
        let target = a.targets[0];
        let from: usize = frames[..target].iter().sum();
        let rows: Vec<usize> = (from..from + frames[target]).collect();
        let each = floats(pool(gallery.image_tokens(&single.sight(net, &rows, &nets::cpu())))); // (F, E)
        let (first, last) = each.split_at(8);
        let wanted: Vec<f32> = match last {
            [] => first.to_vec(),
            _ => first.iter().zip(last).map(|(a, b)| share * a + (1.0 - share) * b).collect(),
        };
        let ours = floats(frozen.targets(&[a], &nets::cpu()));
        let gap = ours.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(gap < 1e-5, "the target of {} is off by {gap}", a.id);
    }
    // Without scores all frames are looked at together, as a gallery looks at them.
    let plain = small.questions().concat();
    let together = compose::frozen(&small.model, &gallery, &tokens, &plain).unwrap();
    let a = plain.iter().find(|a| moves(a)).unwrap();
    let sight = tokens.sight(net, &[a.targets[0]], &nets::cpu());
    let gap = |x: Vec<f32>, y: Vec<f32>| x.iter().zip(&y).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(gap(floats(together.targets(&[a], &nets::cpu())), floats(pool(gallery.image_tokens(&sight)))) < 1e-5);
}

#[test]
fn a_set_on_disk_says_how_well_the_words_fit_each_frame() {
    let small = small();
    let dir = tempfile::tempdir().unwrap();
    for (name, shade) in [("a", 10), ("b", 200)] {
        let frame = media::Frame::filled(28, 28, [shade; 3]);
        std::fs::write(dir.path().join(format!("{name}.png")), media::png_bytes(&frame).unwrap()).unwrap();
    }
    let gallery = r#"{"name": "a", "path": "a.png"}
{"name": "b", "path": "b.png"}"#;
    let asked = r#"{"id": "q", "reference": "a", "text": "brighter", "targets": ["b"], "frame_scores": [0.5, 0.25]}"#;
    std::fs::write(dir.path().join("gallery.train.jsonl"), gallery).unwrap();
    std::fs::write(dir.path().join("triplets.train.jsonl"), asked).unwrap();
    let set = benchmarks::sets::triplets::read(dir.path(), Split::Train, benchmarks::Protocol::default()).unwrap();
    let notes = dir.path().join("looked.json");
    let look = || {
        let set = vec![set.clone()];
        train::Filed::look(set, &small.model.manifest, &notes, &|_, _| (), &|| false).unwrap().unwrap()
    };
    assert_eq!(look().questions(&small.model)[0].frame_scores, [0.5, 0.25]);
    // What could not be read, for want of a program say, is asked again though the file is the same.
    let found = std::fs::read_to_string(&notes).unwrap();
    assert!(found.contains(r#"{"Ok":1}"#), "{found}");
    std::fs::write(&notes, found.replace(r#"{"Ok":1}"#, r#"{"Err":"no such program"}"#)).unwrap();
    assert_eq!((look().questions(&small.model).len(), look().left_out.len()), (1, 0));
}
