//! What IMAGINE claims, held by tests: numbers against an independent float64 implementation,
//! gradients where they must arrive, a library that stays diverse, and ablations that do what they say.

use super::*;
use crate::Model;
use burn::tensor::{Bool, Distribution, TensorData};
use nets::blip2::{self, Blip2, Frames, Words, pool};
use nets::weights::{Tensors, floats};
use serde_json::Value;
use std::collections::BTreeMap;

fn random(shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

fn small() -> Config {
    Config { prototypes: 6, top_k: 3, ..Config::default() }
}

fn numbers(v: &Value) -> Vec<f32> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

/// The worst difference, relative where values are large.
fn gap(ours: &[f32], golden: &[f32]) -> f32 {
    assert_eq!(ours.len(), golden.len());
    ours.iter().zip(golden).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f32::max)
}

#[test]
fn the_step_agrees_with_an_independent_float64_one() {
    let golden: Value = serde_json::from_str(include_str!("../../../../fixtures/golden/imagine.json")).unwrap();
    let device = nets::cpu().autodiff();
    let read = |inputs: &Value| -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
        let shape = |t: &Value| t.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
        let named = inputs.as_object().unwrap().iter();
        named.map(|(name, t)| (name.clone(), (shape(&t["shape"]), numbers(&t["values"])))).collect()
    };
    for (name, case) in golden["cases"].as_object().unwrap() {
        // A case's own stand for those of another shape.
        let mut inputs = read(&golden["inputs"]);
        inputs.extend(read(&case["inputs"]));
        let mut same = vec![false; 6 * 6];
        for pair in case["also_right"].as_array().unwrap() {
            same[pair[0].as_u64().unwrap() as usize * 6 + pair[1].as_u64().unwrap() as usize] = true;
        }
        let same = Tensor::<1, Bool>::from_data(TensorData::new(same, [36]), &device).reshape([6, 6]);
        let mut settings = golden["defaults"].clone();
        settings.as_object_mut().unwrap().extend(case["settings"].as_object().unwrap().clone());
        let sizes = serde_json::json!({"prototypes": 7, "modulation_hidden": 5, "confidence_hidden": 4});
        settings.as_object_mut().unwrap().extend(sizes.as_object().unwrap().clone());
        let c: Config = serde_json::from_value(settings).unwrap();
        c.check().unwrap();
        let head = Imagine::new(&c, 8, &device);
        let head_names: Vec<String> = Tensors::of(&head).map.into_keys().collect();
        let mut given = Tensors::default();
        for full in &head_names {
            given.map.insert(full.clone(), inputs[full.trim_end_matches(".vectors")].clone());
        }
        let head = given.fill(head, &device).unwrap();
        let leaf = |n: &str| {
            let (shape, values) = inputs[n].clone();
            Tensor::<2>::from_data(TensorData::new(values, shape), &device).require_grad()
        };
        let f = Features {
            reference: leaf("reference"),
            words: leaf("words"),
            composed: leaf("composed"),
            target: leaf("target"),
        };
        let losses = loss(&head, f.clone(), Some(same), &c);
        for (what, ours) in [
            ("total", &losses.total),
            ("classification", &losses.classification),
            ("schema", &losses.schema),
            ("confidence", &losses.confidence),
        ] {
            let golden = case[what].as_f64().unwrap() as f32;
            assert!(gap(&floats(ours.clone()), &[golden]) < 1e-5, "{name}: {what} {ours}, golden {golden}");
        }
        let grads = losses.total.backward();
        let mut ours: BTreeMap<String, Vec<f32>> = BTreeMap::new();
        for (n, t) in
            [("reference", &f.reference), ("words", &f.words), ("composed", &f.composed), ("target", &f.target)]
        {
            ours.extend(t.grad(&grads).map(|g| (n.to_owned(), floats(g))));
        }
        struct Collect<'a>(Vec<String>, &'a burn::tensor::Gradients, &'a mut BTreeMap<String, Vec<f32>>);
        impl burn::module::ModuleVisitor for Collect<'_> {
            fn enter_module(&mut self, name: &str, _: &str) {
                self.0.push(name.to_owned());
            }
            fn exit_module(&mut self, _: &str, _: &str) {
                self.0.pop();
            }
            fn visit_float<const N: usize>(&mut self, param: &Param<Tensor<N>>) {
                if let Some(g) = param.val().grad(self.1) {
                    self.2.insert(self.0.join("."), floats(g));
                }
            }
        }
        head.visit(&mut Collect(Vec::new(), &grads, &mut ours));
        for (n, golden) in case["gradients"].as_object().unwrap() {
            let golden = numbers(golden);
            let mine = ours.remove(n).unwrap_or_else(|| vec![0.0; golden.len()]);
            let gap = gap(&mine, &golden);
            assert!(gap < 1e-5, "{name}: gradient of {n} is off by {gap}");
        }
        for (n, rest) in ours {
            assert!(rest.iter().all(|g| g.abs() < 1e-7), "{name}: {n} has a gradient, in the golden step it has none");
        }
        let pictures = head.picture_library.follow(f.reference.detach(), &c);
        let words = head.words_library.follow(f.words.detach(), &c);
        for (n, library) in [("picture_library", pictures), ("words_library", words)] {
            let gap = gap(&floats(library.vectors.val()), &numbers(&case["after"][n]));
            assert!(gap < 1e-5, "{name}: {n} after the step is off by {gap}");
        }
    }
}

#[test]
fn the_schema_loss_teaches_the_q_former() {
    // Prototypes carry no gradient; if pooling did not either, half of the loss would teach nothing.
    let device = nets::cpu().autodiff();
    device.seed(11);
    let sizes = blip2::Config::tiny();
    let net = Blip2::new(&sizes, &device);
    let pixels = Tensor::<4>::random([4, 3, 28, 28], Distribution::Normal(0.0, 1.0), &device);
    let sight = |i: usize| {
        let tokens = net.see(pixels.clone().slice([i..i + 2]));
        net.sight(tokens, &Frames { of: vec![vec![0], vec![1]] })
    };
    let words = Words { ids: Tensor::from_data([[2, 9, 11, 3], [2, 12, 3, 0]], &device), lens: vec![4, 3] };
    let of = |c: &Config| -> f32 {
        let head = Imagine::new(c, sizes.embed, &device);
        let (reference, said, composed) = hear(&net, &sight(0), &words, c);
        let target = pool(net.image_tokens(&sight(2)));
        let losses = loss(&head, Features { reference, words: said, composed, target }, None, c);
        let grads = losses.schema.backward();
        let query = &net.qformer.query_tokens;
        let deep = &net.qformer.layers[0].own.key.weight;
        let size = |g: Option<f32>| g.unwrap_or(0.0);
        let a = size(query.val().grad(&grads).map(|g| g.abs().max().into_scalar()));
        a.min(size(deep.val().grad(&grads).map(|g| g.abs().max().into_scalar())))
    };
    assert!(of(&small()) > 1e-7, "the schema loss does not reach the Q-Former");
    assert!(of(&Config { words_feature: WordsFeature::Mean, ..small() }) > 1e-7);
    // The ablation that averages is cut off, which is why averaging is not the default.
    assert!(of(&Config { pool: Pool::Mean, ..small() }) < 1e-12);
    assert!(of(&Config { pool: Pool::Mean, library_gradient: true, ..small() }) > 1e-9);
}

#[test]
fn without_confidence_the_concrete_feature_stands() {
    let device = nets::cpu();
    device.seed(7);
    for width in [ConfidenceWidth::One, ConfidenceWidth::Each] {
        let c = Config { silent_start: false, confidence_width: width, ..small() };
        let head = Imagine::new(&c, 8, &device);
        let (f, v, x) = (random([3, 8], &device), random([3, 8], &device), random([3, 8], &device));
        let moved = |bias: f32| -> f32 {
            let [first, last] = head.confidence.clone();
            let last = Linear { bias: last.bias.map(|b| b + bias), ..last };
            let head = Imagine { confidence: [first, last], ..head.clone() };
            let imagery = head.imagine(v.clone(), x.clone(), &c);
            (head.modulate(f.clone(), &imagery, &c).0 - f.clone()).abs().max().into_scalar()
        };
        assert!(moved(-80.0) < 1e-6, "confidence near 0 must leave the composed feature alone");
        assert!(moved(80.0) > 1e-2);
    }
}

#[test]
fn prototypes_follow_stay_apart_and_refuse_a_batch_of_one() {
    let device = nets::cpu();
    device.seed(5);
    // Features as trained networks make them: in a cone, four bunches around a common direction.
    let bunch = random([4, 16], &device).repeat_dim(0, 16);
    let v = bunch + Tensor::<2>::random([64, 16], Distribution::Normal(0.0, 0.2), &device) + 1.5;
    for axis in [Axis::Batch, Axis::Prototypes] {
        let c = Config { prototypes: 8, top_k: 2, follow_axis: axis, ..Config::default() };
        let mut library = Prototypes::new(8, 16, &device).begin(v.clone());
        let before = floats(library.vectors.val());
        library = library.follow(v.clone().slice([0..1]), &c);
        assert_eq!(floats(library.vectors.val()), before, "a batch of one must change nothing");
        let begun = (library.likeness(), library.usage(v.clone(), &c));
        for _ in 0..200 {
            library = library.follow(v.clone(), &c);
        }
        let after = floats(library.vectors.val());
        assert_ne!(after, before);
        for row in after.chunks_exact(16) {
            assert!((row.iter().map(|v| v * v).sum::<f32>().sqrt() - 1.0).abs() < 1e-4);
        }
        let ended = (library.likeness(), library.usage(v.clone(), &c));
        match axis {
            Axis::Prototypes => {
                assert!(ended.0 < begun.0 - 0.1, "the library stays together: likeness {} → {}", begun.0, ended.0);
                assert!(ended.1 > 0.5, "few prototypes serve everyone: usage {} → {}", begun.1, ended.1);
            }
            // Why it is not the default: from the same beginning, all of it in one bunch, one point is left.
            Axis::Batch => {
                assert!(ended.0 > 0.9999, "prototypes were said to come together: {} → {}", begun.0, ended.0);
            }
        }
    }
    // Static prototypes do not move; without momentum they are the last batch's means.
    let library = Prototypes::new(8, 16, &device).begin(v.clone());
    let c = Config { prototypes: 8, momentum: 1.0, ..small() };
    assert_eq!(floats(library.clone().follow(v.clone(), &c).vectors.val()), floats(library.vectors.val()));
}

#[test]
fn prototypes_travel_with_the_model() {
    let device = nets::cpu();
    device.seed(9);
    let sizes = blip2::Config { vocab: 8, ..blip2::Config::tiny() };
    let vocab = nets::words::vocab_from_texts(["red"].into_iter(), 8);
    let mut model = Model::new("tiny", "for tests", sizes.clone(), Some(small()), vocab, &device).unwrap();
    let head = model.imagine.take().unwrap();
    let marked = head.picture_library.begin(random([6, sizes.embed], &device));
    model.imagine = Some(Imagine { picture_library: marked.clone(), ..head });
    model.gallery = Some(crate::Gallery::of(&Blip2::new(&sizes, &device)));
    let dir = tempfile::tempdir().unwrap();
    model.save(dir.path(), false).unwrap();
    let opened = Model::open(dir.path(), &device).unwrap();
    let theirs = opened.imagine.unwrap().picture_library;
    assert_eq!(floats(theirs.vectors.val()), floats(marked.vectors.val()));
    let theirs = Tensors::of(&opened.gallery.unwrap());
    assert_eq!(theirs, Tensors::of(&model.gallery.unwrap()));
    assert_ne!(theirs.map["vision_proj.weight"], opened.backbone.tensors().map["vision_proj.weight"]);
}

#[test]
fn each_variant_can_be_meant_and_moves_something() {
    let device = nets::cpu().autodiff();
    device.seed(13);
    let mut names = std::collections::HashSet::new();
    let feature = || random([5, 8], &device).require_grad();
    for variant in VARIANTS {
        assert!(names.insert(variant.name), "{} stands twice", variant.name);
        let mut c = Config::default();
        (variant.set)(&mut c);
        c.check().unwrap_or_else(|e| panic!("{}: {e}", variant.name));
        let changes = c != Config::default() || variant.one_per_slot;
        assert_eq!(changes, variant.name != "full", "{} changes nothing", variant.name);
        // As the file of a recipe or a manifest holds it.
        let text = serde_json::to_string(&c).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), c);

        let head = Imagine::new(&c, 8, &device);
        assert_eq!(trained(&head), c.parameters(8), "{}: parameters are miscounted", variant.name);
        let f = Features { reference: feature(), words: feature(), composed: feature(), target: feature() };
        let losses = loss(&head, f.clone(), None, &c);
        let total: f32 = losses.total.clone().into_scalar();
        assert!(total.is_finite(), "{}: loss {total}", variant.name);
        let grads = losses.total.backward();
        assert!(f.target.grad(&grads).is_some(), "{} teaches nothing about targets", variant.name);
        let again = head.imagine(f.reference.clone(), f.words.clone(), &c);
        let twice = head.imagine(f.reference, f.words, &c);
        assert_eq!(floats(again.fused), floats(twice.fused), "{}: not the same twice", variant.name);
    }
}

fn trained(head: &Imagine) -> usize {
    let all = Tensors::of(head);
    all.map.iter().filter(|(n, _)| !n.contains("library")).map(|(_, (_, v))| v.len()).sum()
}

#[test]
fn selection_takes_k_and_shares_one_whole() {
    let device = nets::cpu();
    device.seed(17);
    let p = random([12, 8], &device);
    let v = random([9, 8], &device);
    for (selection, taken) in [(Selection::Best, 3), (Selection::Random, 3), (Selection::All, 12)] {
        for pool in [Pool::Attention, Pool::Mean] {
            let c = Config { prototypes: 12, selection, pool, top_k: 3, pool_temperature: 0.5, ..Config::default() };
            let w = floats(prototypes::weights(&p, v.clone(), &c));
            for row in w.chunks_exact(12) {
                assert_eq!(row.iter().filter(|w| **w > 0.0).count(), taken, "{selection:?} {pool:?}: {row:?}");
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            }
            if selection == Selection::Random {
                let rows: Vec<Vec<bool>> = w.chunks_exact(12).map(|r| r.iter().map(|w| *w > 0.0).collect()).collect();
                assert!(rows.iter().any(|r| *r != rows[0]), "every query draws the same");
            }
        }
    }
}

#[test]
fn the_paper_sized_head_adds_what_the_paper_says() {
    let added = Config::paper_sized().parameters(256);
    assert!((945_000..955_000).contains(&added), "{added}");
    assert_eq!(added, 656_896 + 295_681 + 2);
}

#[test]
fn a_manifest_from_before_these_settings_means_the_defaults() {
    let old = r#"{"prototypes": 32, "top_k": 10, "temperature": 0.07, "follow_axis": "prototypes",
        "follow_temperature": 0.02, "pool_temperature": 0.07, "momentum": 0.9, "schema_weight": 0.5,
        "modulation_hidden": 256, "confidence_hidden": 64}"#;
    assert_eq!(serde_json::from_str::<Config>(old).unwrap(), Config::default());
    for (wrong, reason) in [
        (Config { top_k: 33, ..Config::default() }, "top_k"),
        (Config { momentum: 1.5, ..Config::default() }, "momentum"),
        (Config { temperature: f32::NAN, ..Config::default() }, "temperatures"),
        (Config { classification_weight: 0.0, schema_weight: 0.0, ..Config::default() }, "not both 0"),
        (Config { modulation_layers: 0, ..Config::default() }, "modulation_layers"),
    ] {
        assert!(wrong.check().unwrap_err().contains(reason));
    }
}

#[test]
fn an_explanation_is_of_the_question_that_is_asked() {
    use crate::{Asked, Method, Seen};
    let device = nets::cpu();
    let pieces = nets::words::vocab_from_texts(["make the ball red", "at night"].into_iter(), 64);
    let model = Model::new("t", "t", blip2::Config::tiny(), Some(small()), pieces, &device).unwrap();
    let size = model.manifest.view.size;
    let frame = |shade: u8| media::Frame::filled(size, size, [shade, 90, 255 - shade]);
    let seen = Seen { frames: vec![frame(10), frame(200)] };
    let made = explain(&model, &seen, "make the ball red").unwrap();
    let composer = Composer::new(std::sync::Arc::new(model)).unwrap();
    let asked = composer.compose(&[Asked::new(&seen, "make the ball red")]).unwrap();
    assert!(gap(&made.with, &asked[0].terms[0].query.values) < 1e-6, "what is explained is what is asked");
    // A new head leaves the concrete feature as it is, and nothing may be said to have changed.
    assert!((made.kept - 1.0).abs() < 1e-5 && made.scaled == 0.0 && made.shifted == 0.0);
    assert!(made.confidence > 0.0 && made.confidence < 1.0 && made.shares == [0.5, 0.5]);
    assert_eq!((made.frames, made.used.len()), (2, 2 * 3));
    for library in [Library::Pictures, Library::Words] {
        let of: Vec<&Used> = made.used.iter().filter(|u| u.library == library).collect();
        assert!((of.iter().map(|u| u.weight).sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(of.is_sorted_by(|a, b| a.weight >= b.weight) && of.iter().all(|u| u.index < 6));
        for u in of {
            assert_eq!(u.map.len(), 2 * made.side * made.side);
            assert!((u.map.iter().sum::<f32>() - 1.0).abs() < 1e-4 && u.map.iter().all(|v| *v >= 0.0));
        }
    }
}

#[test]
fn an_explanation_shows_what_the_modulation_adds() {
    let device = nets::cpu();
    let c = Config { silent_start: false, ..small() };
    let pieces = nets::words::vocab_from_texts(["make the ball red"].into_iter(), 64);
    let of = |c: &Config| {
        let mut model = Model::new("t", "t", blip2::Config::tiny(), None, pieces.clone(), &device).unwrap();
        device.seed(5);
        model.imagine = Some(Imagine::new(c, model.manifest.backbone.embed(), &device));
        model.manifest.imagine = Some(c.clone());
        let size = model.manifest.view.size;
        let seen = crate::Seen { frames: vec![media::Frame::filled(size, size, [9, 90, 200])] };
        explain(&model, &seen, "make the ball red").unwrap()
    };
    let both = of(&c);
    assert!(both.scaled > 0.0 && both.shifted > 0.0 && both.kept < 1.0);
    let shift = of(&Config { composition: Composition::Shift, ..c.clone() });
    assert!(shift.scaled == 0.0 && shift.shifted > 0.0);
    let none = of(&Config { composition: Composition::Concrete, space: Space::Features, ..c });
    assert!(none.used.is_empty() && (none.kept - 1.0).abs() < 1e-5, "without prototypes there is nothing to show");
}
