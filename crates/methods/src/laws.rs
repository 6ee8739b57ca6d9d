//! What every method must obey, run over [`METHODS`](crate::METHODS) with tiny random weights: who
//! adds a line to the list is tested by these without writing a test.

use super::*;
use media::Frame;
use nets::blip2;
use nets::layers::Numbers;
use nets::words::vocab_from_texts;

fn model() -> Arc<Model> {
    let device = nets::cpu();
    device.seed(3);
    let vocab = vocab_from_texts(["make the ball red", "a blue cat"].into_iter(), 200);
    let config = blip2::Config { vocab: vocab.lines().count(), ..blip2::Config::tiny() };
    let head = imagine::Config { prototypes: 6, top_k: 3, ..imagine::Config::default() };
    let mut model = Model::new("tiny", "for tests", config, Some(head), vocab, &device).unwrap();
    // A fresh head changes nothing; a trained one does. Give its last layer something to say.
    let head = model.imagine.take().unwrap();
    let mut modulation = head.modulation;
    if let Some(last) = modulation.pop() {
        let weight = last.weight.map(|w| w.random_like(burn::tensor::Distribution::Normal(0.0, 0.3)));
        modulation.push(nets::layers::Linear { weight, ..last });
    }
    model.imagine = Some(imagine::Imagine { modulation, ..head });
    Arc::new(model)
}

fn seen(n: usize) -> Vec<Seen> {
    let frame = |k: u32| Frame {
        width: 28,
        height: 28,
        rgb: (0..28 * 28 * 3).map(|i: u32| (i.wrapping_mul(k * 7919 + 13) >> 3) as u8).collect(),
    };
    (0..n as u32).map(|i| Seen { frames: (0..=i % 2).map(|f| frame(3 * i + f)).collect() }).collect()
}

/// Methods that need no more than vectors, over the families that have no more.
fn towers() -> Vec<Arc<Model>> {
    let device = nets::cpu();
    device.seed(5);
    let merges = "#version: 0.2\nt h\nth e</w>\nr e\nre d</w>\n";
    let clip = Model::new("clip", "for tests", nets::clip::Config::tiny(), None, merges, &device).unwrap();
    let json = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,
        "pre_tokenizer":{"type":"Whitespace"},"decoder":null,"post_processor":null,
        "model":{"type":"WordLevel","vocab":{"<pad>":0,"<unk>":1,"the":2,"red":3,"a":4,"cat":5,"it":6},"unk_token":"<unk>"}}"#;
    let siglip = Model::new("siglip", "for tests", nets::siglip::Config::tiny(), None, json, &device).unwrap();
    let head = |concrete| imagine::Config { prototypes: 6, top_k: 3, concrete, ..imagine::Config::default() };
    let with = |model: &Model, concrete| {
        let mut model = model.headless("with a head", "for tests").unwrap();
        let c = head(concrete);
        model.imagine = Some(imagine::Imagine::new(&c, model.manifest.backbone.embed(), &device));
        model.manifest.imagine = Some(c);
        model
    };
    let heads = [with(&clip, imagine::Concrete::Added), with(&siglip, imagine::Concrete::Sum)];
    [clip, siglip].into_iter().chain(heads).map(Arc::new).collect()
}

fn each(check: impl Fn(&dyn Method)) {
    for model in towers() {
        for entry in METHODS {
            match (entry.make)(model.clone()) {
                Ok(method) => check(method.as_ref()),
                Err(ModelError::Family { method, .. } | ModelError::NoHead { method, .. }) => {
                    assert_eq!(method, entry.name);
                }
                Err(e) => panic!("{}: {e}", entry.name),
            }
        }
    }
    let model = model();
    for entry in METHODS {
        let method = (entry.make)(model.clone()).unwrap();
        assert_eq!(method.name(), entry.name, "the list and the method disagree about its name");
        check(method.as_ref());
    }
}

fn query(probe: &Probe) -> &Embedding {
    &probe.terms[0].query
}

fn gap(a: &Embedding, b: &Embedding) -> f32 {
    a.values.iter().zip(&b.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn a_head_that_has_learnt_nothing_leaves_both_towers_joined() {
    for model in towers().into_iter().filter(|m| m.imagine.is_some()) {
        let c = model.manifest.imagine.clone().unwrap();
        let plain = if c.concrete == imagine::Concrete::Added { "add" } else { "sum" };
        let seen = seen(2);
        let asked: Vec<Asked<'_>> = seen.iter().map(|s| Asked::new(s, "the red cat")).collect();
        let of = |name: &str| (entry(name).unwrap().make)(model.clone()).unwrap().compose(&asked).unwrap();
        for (ours, theirs) in of("imagine").iter().zip(&of(plain)) {
            assert!(gap(query(ours), query(theirs)) < 1e-6, "{plain}");
        }
        // Settings of a BLIP-2 do not fit.
        let mut other = model.headless("other", "for tests").unwrap();
        other.imagine.clone_from(&model.imagine);
        other.manifest.imagine = Some(imagine::Config { concrete: imagine::Concrete::Composed, ..c });
        assert!(matches!(imagine::Composer::new(Arc::new(other)), Err(ModelError::Family { .. })));
    }
}

#[test]
fn vectors_are_what_the_space_says() {
    each(|m| {
        let seen = seen(3);
        let items = m.embed(&seen.iter().collect::<Vec<_>>()).unwrap();
        let probes = m.compose(&[Asked::new(&seen[0], "make it red")]).unwrap();
        for e in items.iter().chain([query(&probes[0])]) {
            assert_eq!((e.rows(), e.dim), (m.space().rows, m.space().dim), "{}", m.name());
            let length = e.values.iter().map(|v| v * v).sum::<f32>().sqrt();
            assert!((length - 1.0).abs() < 1e-4, "{}: length {length}", m.name());
        }
        for term in &probes[0].terms {
            term.space.same_as(m.space()).unwrap();
        }
    });
}

#[test]
fn a_batch_is_its_items_one_by_one_and_the_same_again() {
    each(|m| {
        let seen = seen(4);
        let texts = ["make the ball red", "a cat", "red red red red red", "x"];
        let asked: Vec<Asked<'_>> = seen.iter().zip(texts).map(|(s, t)| Asked::new(s, t)).collect();
        let (together, again) = (m.compose(&asked).unwrap(), m.compose(&asked).unwrap());
        let items = m.embed(&seen.iter().collect::<Vec<_>>()).unwrap();
        for i in 0..seen.len() {
            assert_eq!(query(&together[i]).values, query(&again[i]).values, "{}: not the same twice", m.name());
            let alone = m.compose(&asked[i..=i]).unwrap();
            assert!(
                gap(query(&alone[0]), query(&together[i])) < 1e-4,
                "{}: question {i} depends on its neighbours",
                m.name()
            );
            assert!(
                gap(&m.embed(&[&seen[i]]).unwrap()[0], &items[i]) < 1e-4,
                "{}: item {i} depends on its neighbours",
                m.name()
            );
        }
        assert!(m.embed(&[]).unwrap().is_empty() && m.compose(&[]).unwrap().is_empty());
    });
}

#[test]
fn a_long_clip_goes_through_in_pieces_and_comes_out_the_same_to_the_bit() {
    let frames = |n: u32| (0..n).flat_map(|i| seen(2 + i as usize).pop().map(|s| s.frames)).flatten().collect();
    let clips: Vec<Seen> = [1, 23, 4].map(|n| Seen { frames: frames(n) }).into();
    let clips: Vec<&Seen> = clips.iter().collect();
    let all: usize = clips.iter().map(|c| c.frames.len()).sum();
    let inner = model();
    let opened = |model: &Model| {
        let dir = tempfile::tempdir().unwrap();
        model.save(dir.path(), false).unwrap();
        Model::open(dir.path(), &nets::cpu()).unwrap()
    };
    for model in towers().into_iter().chain([inner]) {
        for numbers in [Numbers::F32, Numbers::Bf16, Numbers::Int8] {
            let mut model = opened(&model);
            model.pack(numbers);
            let name = format!("{} as {numbers:?}", model.manifest.name);
            model.set_batch(usize::MAX);
            let (whole, added) = (model.embed(&clips), model.added(&clips, &["a cat"; 3]));
            for most in [1, 2, 7, 16, all - 1] {
                model.set_batch(most);
                let sizes: Vec<usize> = model.pixels(&clips).0.map(|p| p.dims()[0]).collect();
                assert_eq!((sizes.len(), sizes.iter().sum()), (all.div_ceil(most), all), "{sizes:?}");
                assert!(sizes.iter().all(|n| (1..=most).contains(n)), "{sizes:?} of at most {most}");
                assert_eq!(model.embed(&clips), whole, "{name}: {most} at a time");
                assert_eq!(model.added(&clips, &["a cat"; 3]), added, "{name}: {most} at a time");
            }
        }
    }
}

#[test]
fn wishes_bend_the_probe_and_nothing_else() {
    each(|m| {
        let seen = seen(2);
        let plain = Asked::new(&seen[0], "make it red");
        let ask = |a: Asked<'_>| blend::compose(m, &[a]).unwrap().remove(0);
        let (like, words) = (ask(Asked { strength: Some(0.0), ..plain }), ask(Asked { strength: Some(1.0), ..plain }));
        let own = ask(Asked { strength: Some(0.5), ..plain });
        assert!(gap(query(&own), query(&ask(plain))) < 1e-5);
        assert!(gap(query(&like), &m.embed(&[&seen[0]]).unwrap()[0]) < 1e-4);
        assert!(gap(query(&like), query(&words)) > 1e-3);
        let not = ask(Asked { not: Some("a cat"), ..plain });
        assert_eq!(not.terms.len(), 2);
        assert!((not.expr.eval(&[0.8, 0.2]) - (0.8 - blend::NOT_WEIGHT * 0.2)).abs() < 1e-6);
    });
}

#[test]
fn saving_and_opening_changes_nothing() {
    let model = model();
    let dir = tempfile::tempdir().unwrap();
    let manifest = model.save(dir.path(), false).unwrap();
    let opened = Model::open(dir.path(), &nets::cpu()).unwrap();
    assert_eq!(opened.manifest, manifest);
    let seen = seen(2);
    let asked = [Asked::new(&seen[1], "make the ball red")];
    for entry in METHODS {
        let ask = |m: Arc<Model>| (entry.make)(m).unwrap().compose(&asked).unwrap().remove(0);
        assert_eq!(
            query(&ask(model.clone())).values,
            query(&ask(Arc::new(Model::open(dir.path(), &nets::cpu()).unwrap()))).values
        );
    }
    for model in towers() {
        let dir = tempfile::tempdir().unwrap();
        model.save(dir.path(), false).unwrap();
        let opened = Model::open(dir.path(), &nets::cpu()).unwrap();
        assert_eq!(opened.say(&["the red cat"]), model.say(&["the red cat"]));
        assert_eq!(opened.embed(&[&seen[1]]), model.embed(&[&seen[1]]));
    }
    // A byte of the weights changed: the digest says so before a number is read.
    let path = dir.path().join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(Model::open(dir.path(), &nets::cpu()), Err(ModelError::Digest { .. })));
}
