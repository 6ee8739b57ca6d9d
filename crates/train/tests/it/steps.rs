//! What one step of composition training does, on a tiny world.

use crate::TURN;
use domain::Split;
use methods::imagine::{self, Imagine, Target};
use methods::{Gallery, Model, covr2};
use nets::blip2::{self, Blip2};
use nets::weights::Tensors;
use nets::words::vocab_from_texts;
use scenes::{Set, World};
use train::adapt::{Adapt, Fixed, Misfit};
use train::compose::{self, Compose, Head, Learns, Net, Settings};
use train::questions::{Asked, questions};
use train::run::{Plan, Task};
use train::{Drawn, Tokens, pretrain, train};

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
};

fn head() -> imagine::Config {
    imagine::Config { prototypes: 8, top_k: 3, silent_start: false, ..imagine::Config::default() }
}

/// What a step gives under some settings, from the same weights.
fn step(small: &Small, tokens: &Tokens, head: Head, chunk: usize) -> (train::run::Step, Net) {
    let settings = Settings { chunk, ..SETTINGS };
    let device = nets::cpu().autodiff();
    device.seed(4);
    let gallery = (head.target() == Target::Frozen).then(|| Gallery::of(small.model.backbone.blip2().unwrap()));
    let frozen = gallery.map(|g| compose::frozen_rows(&small.model, &g, tokens).unwrap());
    let captions: Vec<String> = small.drawn.items.iter().map(|i| i.caption.clone()).collect();
    let task = Compose {
        settings: &settings,
        model: &small.model,
        tokens,
        names: captions.clone(),
        questions: small.questions(),
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
    for head in [
        Head::Imagine(head()),
        Head::Imagine(imagine::Config { target: Target::Frozen, library_gradient: true, ..head() }),
        Head::Covr2(covr2.clone()),
        Head::Covr2(covr2::Config { target: Target::Online, ..covr2 }),
    ] {
        let (whole, _) = step(&small, &tokens, head.clone(), 0);
        assert!(whole.grads.length() > 1e-3);
        for chunk in [1, 5, 8] {
            let (parts, _) = step(&small, &tokens, head.clone(), chunk);
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
    let seen = |t: &Tokens| nets::weights::floats(t.sight(small.model.backbone.blip2().unwrap(), &all, &cpu).tokens);
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
        asked.push(Asked { id: format!("q{row}"), row, reference, words: Vec::new(), targets: vec![target] });
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
    let plan = Plan {
        steps: SETTINGS.steps,
        restarts: Vec::new(),
        rate: SETTINGS.rate,
        warmup: SETTINGS.warmup,
        decay: SETTINGS.decay,
        precision: nets::layers::Precision::F32,
        validate_every: 20,
        checkpoint_every: 20,
        dir: dir.path(),
    };
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
    let asked = |reference| vec![Asked { id: "q".into(), row: 0, reference, words: Vec::new(), targets: vec![0] }];
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
