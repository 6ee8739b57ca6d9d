//! What PyTorch and transformers wrote (`fixtures/golden/checkpoints.py`), read number by number.

use nets::clip::names::TRANSFORMERS_OPENCLIP;
use nets::weights::{Checkpoint, Dtype, Shelf, Way, convert};
use std::path::{Path, PathBuf};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden/checkpoints").join(name)
}

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(&golden(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn bytes(file: &Checkpoint, name: &str) -> Vec<u8> {
    file.raw(name).unwrap_or_else(|| panic!("{name} is missing")).unwrap().into_bytes().into_owned()
}

/// The tensors of one are all in the other, to the bit.
fn same(a: &Checkpoint, b: &Checkpoint) {
    assert!(a.tensors().len() > 0);
    for (name, entry) in a.tensors() {
        let other = b.entry(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!((entry.dtype, &entry.shape), (other.dtype, &other.shape), "{name}");
        assert_eq!(bytes(a, name), bytes(b, name), "{name}");
    }
}

fn why<'a>(file: &'a Checkpoint, name: &str) -> &'a str {
    &file.aside().iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("{name}: {:?}", file.aside())).1
}

#[test]
fn every_kind_of_number_and_every_way_to_lie_in_a_storage() {
    let (torch, plain) = (open("kinds.pth"), open("kinds.safetensors"));
    same(&plain, &torch);
    assert_eq!(torch.tensors().len(), plain.tensors().len());
    assert_eq!(torch.entry("bf16").unwrap().dtype, Dtype::BF16);
    assert_eq!(torch.floats("turned").unwrap()[..5], [0., 6., 12., 18., 1.]);
    assert_eq!(torch.floats("cut").unwrap(), [8., 9., 10., 14., 15., 16.]);
    assert_eq!(torch.floats("bf16").unwrap(), plain.floats("bf16").unwrap());
    assert!(torch.floats("i64").unwrap_err().to_string().contains("\"i64\" holds I64"));
    assert!(why(&torch, "expanded").contains("repeats its numbers"));
    assert!(why(&torch, "sparse").contains("an object of the class torch._utils._rebuild_sparse_tensor"));
}

#[test]
fn the_model_is_found_and_what_lies_beside_it_is_listed_not_read() {
    let (lavis, covr) = (open("lavis.pth"), open("covr2.ckpt"));
    // CoVR-2's is the same model, among an optimizer and objects of classes that nobody here has.
    same(&lavis, &covr);
    assert_eq!((&lavis.about()["section"], &covr.about()["section"]), (&"model".to_owned(), &"model".to_owned()));
    assert!(why(&covr, "optimizer").contains("9 tensors beside the model"), "{:?}", covr.aside());
    assert!(why(&covr, "scheduler").contains("1 tensors beside the model"));
    assert!(why(&covr, "hyper_parameters").contains("argparse.Namespace"));
    let phi = open("phi.pth");
    assert_eq!((&phi.about()["section"][..], &phi.about()["prefix"][..]), ("MLP", "module."));
    assert_eq!(phi.names(), ["layers.0.bias", "layers.0.weight", "layers.3.bias", "layers.3.weight"]);
    assert_eq!(phi.entry("layers.3.weight").unwrap().dtype, Dtype::F16);
    assert_eq!(open("embeddings.pth").entry("feats").unwrap().shape, [40, 4]);
    assert_eq!(open("single.pth").floats("tensor").unwrap(), [0., 1., 2., 3., 4., 5.]);
}

#[test]
fn whole_modules_pickled_or_traced_are_their_tensors() {
    same(&open("module.safetensors"), &open("module.pt"));
    same(&open("module.safetensors"), &open("traced.pt"));
}

#[test]
fn what_cannot_be_read_is_refused_with_what_to_do() {
    for (name, said) in [("legacy.pth", "save it again: torch.save"), ("nothing.pth", "nothing.pth")] {
        let refused = Checkpoint::open(&golden(name)).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains(said), "{name}: {refused}");
    }
    for (bytes, said) in [
        (&b"version https://git-lfs.github.com/spec/v1\noid sha256:00"[..], "git lfs pull"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"GGUF\x03\0\0\0", "safetensors"),
        (b"PK\x03\x04", "zip"),
        (b"", "not readable as weights"),
    ] {
        let refused = Checkpoint::from_bytes(bytes.to_vec()).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
fn another_kind_of_file_holds_the_same_bits() {
    let dir = std::env::temp_dir().join(format!("likebut-convert-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    for name in ["kinds.pth", "covr2.ckpt", "phi.pth", "hf", "traced.pt"] {
        let (from, to) = (open(name), dir.join("out.safetensors"));
        let report = convert(&from, Way::Same, &to).unwrap();
        assert_eq!(report.loaded.len(), from.tensors().len());
        let back = Checkpoint::open(&to).unwrap();
        same(&from, &back);
        same(&back, &from);
    }
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn clip_under_the_names_of_transformers_and_openclip_to_the_bit() {
    let to = std::env::temp_dir().join(format!("likebut-clip-{}.safetensors", std::process::id()));
    let (left, right) = (open("clip-transformers.safetensors"), open("clip-openclip.pt"));
    for (from, way, wanted) in
        [(&left, Way::Right(&TRANSFORMERS_OPENCLIP), &right), (&right, Way::Left(&TRANSFORMERS_OPENCLIP), &left)]
    {
        convert(from, way, &to).unwrap();
        let made = Checkpoint::open(&to).unwrap();
        same(&made, wanted);
        same(wanted, &made);
    }
    std::fs::remove_file(to).unwrap();
}
