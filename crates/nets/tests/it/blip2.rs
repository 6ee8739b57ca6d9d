//! The same small BLIP-2 as LAVIS, CoVR-2 and transformers store it.

use burn::module::Module;
use nets::blip2::import::{Layout, config_of, convert, layout_of, load};
use nets::blip2::{Blip2, Config};
use nets::weights::{Checkpoint, Shelf, Tensors, WeightsError};
use std::path::Path;

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden/checkpoints").join(name))
        .unwrap()
}

fn config() -> Config {
    Config {
        vit_width: 8,
        vit_mlp: 12,
        frame_positions: 0,
        width: 8,
        mlp: 12,
        queries: 3,
        vocab: 24,
        positions: 16,
        embed: 6,
        itm: true,
        ..Config::tiny()
    }
}

fn bytes(file: &Checkpoint, name: &str) -> Vec<u8> {
    file.raw(name).unwrap_or_else(|| panic!("{name} is missing")).unwrap().into_bytes().into_owned()
}

fn refused<T>(result: Result<T, WeightsError>) -> String {
    result.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn three_layouts_are_one_network() {
    let device = nets::cpu();
    let loaded = |name: &str| load(&config(), &open(name), &device).unwrap_or_else(|e| panic!("{name}: {e}"));
    let (net, report) = loaded("hf");
    assert_eq!((report.numbers, report.passed_over.len()), (net.num_params(), 0));
    assert_eq!(net.num_params(), config().parameters());
    let values = Tensors::of(&net);
    let (lavis, report) = loaded("lavis.pth");
    assert_eq!(Tensors::of(&lavis), values);
    let passed: Vec<_> = report.passed_over.iter().map(|(name, _)| name.as_str()).collect();
    assert!(passed.contains(&"temp") && passed.contains(&"Qformer.cls.predictions.decoder.weight"), "{passed:?}");
    assert_eq!(passed.len(), 9);
    let (covr, _) = loaded("covr2.ckpt");
    assert_eq!(Tensors::of(&covr), values);
    // One number by hand: (out, in) is (in, out), the query's rows are the first columns.
    let (file, qkv) = (open("hf"), &values.map["vit.blocks.1.qkv"]);
    let theirs = file.floats("vision_model.encoder.layers.1.self_attn.qkv.weight").unwrap();
    assert_eq!((&qkv.0[..], qkv.1[2 * 24 + 17]), (&[8, 24][..], theirs[17 * 8 + 2]));
    let bias = file.floats("vision_model.encoder.layers.1.self_attn.qkv.bias").unwrap();
    assert_eq!(
        (&values.map["vit.blocks.1.q_bias"].1[..], &values.map["vit.blocks.1.v_bias"].1[..]),
        (&bias[..8], &bias[16..])
    );
}

#[test]
fn heads_are_filled_if_they_are_asked_for() {
    let device = nets::cpu();
    let with_words = Config { text_head: true, ..config() };
    let (net, report) = load(&with_words, &open("lavis.pth"), &device).unwrap();
    assert_eq!(report.numbers, with_words.parameters());
    let bias = open("lavis.pth").floats("Qformer.cls.predictions.bias").unwrap();
    assert_eq!(Tensors::of(&net).map["text_head.bias"].1, bias);
    assert!(refused(load(&with_words, &open("hf"), &device)).contains("text_head.dense.weight is missing"));
    let (_, report) = load(&Config { itm: false, ..config() }, &open("hf"), &device).unwrap();
    assert_eq!(report.passed_over.len(), 2, "{report}");
}

#[test]
fn there_and_back_to_the_bit() {
    let dir = std::env::temp_dir().join(format!("likebut-blip2-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (hf, lavis) = (open("hf"), open("lavis.pth"));
    let (there, back) = (dir.join("hf.safetensors"), dir.join("lavis.safetensors"));
    for name in ["lavis.pth", "covr2.ckpt"] {
        let report = convert(&open(name), Layout::Transformers, &there).unwrap();
        assert_eq!(report.passed_over.len(), 9, "{report}");
        let made = Checkpoint::open(&there).unwrap();
        assert_eq!(made.names(), hf.names());
        for name in hf.names() {
            assert_eq!(hf.entry(name).unwrap().shape, made.entry(name).unwrap().shape, "{name}");
            assert_eq!(bytes(&hf, name), bytes(&made, name), "{name}");
        }
    }
    convert(&Checkpoint::open(&there).unwrap(), Layout::Lavis, &back).unwrap();
    let made = Checkpoint::open(&back).unwrap();
    for (name, entry) in made.tensors() {
        assert_eq!((&entry.shape, entry.dtype), (&lavis.entry(name).unwrap().shape, lavis.entry(name).unwrap().dtype));
        assert_eq!(bytes(&made, name), bytes(&lavis, name), "{name}");
    }
    assert_eq!(made.tensors().len() + 9, lavis.tensors().len());
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn shapes_say_what_the_network_is() {
    // Heads are 64 wide in every published model but EVA's; in these they are 4.
    let expected = |eps| Config { ln_vision_eps: eps, vit_heads: 1, heads: 1, ..config() };
    assert_eq!(config_of(&open("lavis.pth")).unwrap(), expected(1e-5));
    assert_eq!(config_of(&open("hf")).unwrap(), expected(1e-6));
    assert_eq!(
        (layout_of(&open("covr2.ckpt")).unwrap(), layout_of(&open("hf")).unwrap()),
        (Layout::Lavis, Layout::Transformers)
    );
}

#[test]
fn another_picture_size_is_resized_and_reported() {
    let larger = Config { image: 56, ..config() };
    let (net, report) = load(&larger, &open("lavis.pth"), &nets::cpu()).unwrap();
    assert_eq!(report.reshaped, [("vit.pos_embed".to_owned(), vec![1, 5, 8], vec![1, 17, 8])]);
    let (old, new) =
        (open("lavis.pth").floats("visual_encoder.pos_embed").unwrap(), &Tensors::of(&net).map["vit.pos_embed"].1);
    assert_eq!(new[..8], old[..8]);
}

/// A file of these names, one number each.
fn file(names: &[&str]) -> Checkpoint {
    let map = names.iter().map(|name| ((*name).to_owned(), (vec![1], vec![0.5]))).collect();
    Checkpoint::from_bytes(Tensors { map }.to_bytes(true).unwrap()).unwrap()
}

#[test]
fn what_is_not_this_network_is_refused_with_the_reason() {
    let of = |names: &[&str]| refused(layout_of(&file(names)));
    let seen = "vision_model.embeddings.class_embedding";
    let chat = of(&[seen, "qformer.encoder.layer.0.attention.attention.key.bias", "language_model.lm_head.weight"]);
    assert!(chat.contains("chats") && chat.contains("blip2-itm-vit-g"), "{chat}");
    assert!(
        of(&["visual_encoder.cls_token", "Qformer.bert.encoder.layer.0.output.dense.bias", "opt_proj.bias"])
            .contains("chats")
    );
    assert!(of(&["visual.conv1.weight"]).contains("no BLIP-2"));
    let words = "Qformer.bert.embeddings.word_embeddings.weight";
    assert!(of(&[words, "query_tokens"]).contains("eva_vit_g.pth"));
}

#[test]
fn a_vision_transformer_from_a_file_of_its_own() {
    let device = nets::cpu();
    let whole = Tensors::of(&load(&config(), &open("lavis.pth"), &device).unwrap().0);
    let apart = |keep: &dyn Fn(&str) -> Option<String>| {
        let from = open("lavis.pth");
        let wanted = from.names().into_iter().filter_map(|n| Some((keep(n)?, n)));
        let map =
            wanted.filter_map(|(name, n)| Some((name, (from.entry(n)?.shape.clone(), from.floats(n).ok()?)))).collect();
        Checkpoint::from_bytes(Tensors { map }.to_bytes(false).unwrap()).unwrap()
    };
    let rest = apart(&|n| (!n.starts_with("visual_encoder.")).then(|| n.to_owned()));
    let vit = apart(&|n| n.strip_prefix("visual_encoder.").map(str::to_owned));
    assert!(refused(load(&config(), &rest, &device)).contains("eva_vit_g.pth"));
    let both = rest.beside(vit, "visual_encoder.");
    let (net, _): (Blip2, _) = load(&config(), &both, &device).unwrap();
    assert_eq!(Tensors::of(&net), whole);
}
