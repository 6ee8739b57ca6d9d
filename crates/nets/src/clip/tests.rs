//! What must hold for any size; that the numbers are the references' is held by the golden tests.

use super::*;
use crate::words::Words;
use burn::tensor::{Distribution, Int};

fn tiny() -> (Clip, Device) {
    let device = crate::cpu();
    device.seed(7);
    (Clip::new(&Config::tiny(), &device), device)
}

fn words(rows: &[&[i32]], length: usize, device: &Device) -> Words {
    let ids: Vec<i32> =
        rows.iter().flat_map(|r| r.iter().copied().chain(std::iter::repeat_n(0, length - r.len()))).collect();
    Words {
        ids: Tensor::<1, Int>::from_data(ids.as_slice(), device).reshape([rows.len(), length]),
        lens: rows.iter().map(|r| r.len()).collect(),
    }
}

fn gap<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    (a - b).abs().max().into_scalar()
}

#[test]
fn a_batch_equals_its_items_and_padding_is_not_seen() {
    let (net, device) = tiny();
    let pixels = Tensor::<4>::random([3, 3, 28, 28], Distribution::Normal(0.0, 1.0), &device);
    let together = net.vision.forward(pixels.clone());
    let alone = net.vision.forward(pixels.slice([1..2]));
    assert!(gap(together.slice([1..2]), alone) < 1e-5);
    let texts = words(&[&[1, 5, 6, 7, 599], &[1, 9, 599]], 5, &device);
    let said = net.text.forward(&texts, None);
    let longer = net.text.forward(&words(&[&[1, 5, 6, 7, 599], &[1, 9, 599]], 20, &device), None);
    assert!(gap(said.clone(), longer) < 1e-5);
    let alone = net.text.forward(&words(&[&[1, 9, 599]], 3, &device), None);
    assert!(gap(said.slice([1..2]), alone) < 1e-5);
}

#[test]
fn a_pseudo_word_takes_its_place_and_no_other() {
    let (net, device) = tiny();
    let typed = words(&[&[1, 5, 6, 599], &[1, 5, 6, 599]], 4, &device);
    let own = net.text.embed(&typed); // (B, T, D)
    let d = own.dims()[2];
    // A text whose word is replaced by its own embedding is the same text.
    let slots = Slots { at: vec![2..3, 2..3], vectors: own.clone().slice([0..2, 2..3, 0..d]) };
    let said = net.text.forward(&typed, None);
    assert!(gap(said.clone(), net.text.forward(&typed, Some(&slots))) < 1e-6);
    // Another embedding is another text; what stands before it does not hear of it.
    let other = Slots { vectors: own.slice([0..2, 1..2, 0..d]), ..slots };
    let changed = net.text.forward(&typed, Some(&other));
    assert!(gap(said, changed) > 1e-4);
    let before = |t: Tensor<3>| t.slice([0..2, 0..2, 0..d]);
    let last = |slots| net.text.transformer.forward(net.text.start(&typed, slots));
    assert!(gap(before(last(None)), before(last(Some(&other)))) < 1e-6);
}

/// The sum of the sizes of all parameters, by arithmetic: no memory is taken for them.
fn parameters(c: &Config) -> usize {
    let tower = |t: Tower| {
        let (d, linear) = (t.width, |i: usize, o: usize| i * o + o);
        t.layers * (4 * d + linear(d, 3 * d) + linear(d, d) + linear(d, t.mlp) + linear(t.mlp, d))
    };
    let (v, t) = (c.vision.width, c.text.width);
    let vision = 3 * c.patch * c.patch * v + v + c.tokens() * v + 4 * v + tower(c.vision) + v * c.embed;
    vision + c.vocab * t + c.context * t + tower(c.text) + 2 * t + t * c.embed + 1
}

#[test]
fn the_published_sizes_are_reached_to_the_parameter() {
    for (name, published) in [
        ("clip-b32", 151_277_313),
        ("clip-b16", 149_620_737),
        ("clip-l14", 427_616_513),
        ("clip-l14-336", 427_944_193),
        ("clip-h14", 986_109_441),
        ("clip-g14", 1_366_678_273),
        ("clip-bigg14", 2_539_567_105),
    ] {
        let preset = Config::preset(name).or_else(|| Config::preset(&format!("{name}-quickgelu"))).unwrap();
        assert_eq!(parameters(&preset), published, "{name}");
    }
    assert_eq!(parameters(&Config::tiny()), Clip::new(&Config::tiny(), &crate::cpu()).num_params());
}
