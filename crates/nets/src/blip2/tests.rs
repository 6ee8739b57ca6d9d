//! What must hold for any size: padding is invisible, batches do not mix, counts are the published ones.

use super::*;
use burn::tensor::Distribution;

fn tiny() -> (Blip2, Device) {
    let device = crate::cpu();
    device.seed(7);
    (Blip2::new(&Config::tiny(), &device), device)
}

fn words(rows: &[&[i32]], device: &Device) -> Words {
    let longest = rows.iter().map(|r| r.len()).max().unwrap();
    let ids: Vec<i32> =
        rows.iter().flat_map(|r| r.iter().copied().chain(std::iter::repeat_n(0, longest - r.len()))).collect();
    Words {
        ids: Tensor::<1, Int>::from_data(ids.as_slice(), device).reshape([rows.len(), longest]),
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
    let tokens = net.see(pixels);
    let frames = Frames { of: vec![vec![0], vec![1, 2]] };
    let both = net.sight(tokens.clone(), &frames);
    let texts = words(&[&[2, 5, 6, 7, 3], &[2, 9, 3]], &device);
    let (seen, said) = (net.composed_tokens(&both, &texts), net.text(&texts));
    for (i, (f, t)) in [(vec![0usize], &[2, 5, 6, 7, 3][..]), (vec![1, 2], &[2, 9, 3][..])].into_iter().enumerate() {
        let one = net.sight(tokens.clone(), &Frames { of: vec![f] });
        let text = words(&[t], &device);
        assert!(gap(net.composed_tokens(&one, &text), seen.clone().slice([i..i + 1])) < 1e-5);
        assert!(gap(net.text(&text), said.clone().slice([i..i + 1])) < 1e-5);
        assert!(gap(net.image_tokens(&one), net.image_tokens(&both).slice([i..i + 1])) < 1e-5);
    }
}

#[test]
fn the_order_of_frames_matters_only_with_positions() {
    let (net, device) = tiny();
    let tokens = net.see(Tensor::<4>::random([2, 3, 28, 28], Distribution::Normal(0.0, 1.0), &device));
    let seen =
        |net: &Blip2, of: Vec<usize>| pool(net.image_tokens(&net.sight(tokens.clone(), &Frames { of: vec![of] })));
    assert!(gap(seen(&net, vec![0, 1]), seen(&net, vec![1, 0])) > 1e-4);
    let bag = Blip2 { frame_positions: None, ..net };
    assert!(gap(seen(&bag, vec![0, 1]), seen(&bag, vec![1, 0])) < 1e-5);
}

/// The sum of the sizes of all parameters, by arithmetic: no memory is taken for them.
fn parameters(c: &Config) -> usize {
    let (dv, d) = (c.vit_width, c.width);
    let norm = |w: usize| 2 * w;
    let linear = |i: usize, o: usize| i * o + o;
    let block = 2 * norm(dv) + 3 * dv * dv + 2 * dv + linear(dv, dv) + linear(dv, c.vit_mlp) + linear(c.vit_mlp, dv);
    let vit = linear(3 * c.patch * c.patch, dv) + dv + c.tokens() * dv + c.vit_depth * block;
    let attention = |seen: usize| 2 * linear(d, d) + 2 * linear(seen, d) + norm(d);
    let feed = linear(d, c.mlp) + linear(c.mlp, d) + norm(d);
    let cross = (0..c.layers).filter(|i| i % c.cross_every == 0).count();
    let qformer = c.queries * d
        + (c.vocab + c.positions) * d
        + norm(d)
        + c.layers * (attention(d) + 2 * feed)
        + cross * attention(dv);
    vit + norm(dv) + c.frame_positions * dv + qformer + 2 * linear(d, c.embed)
}

#[test]
fn the_published_size_is_reached_to_the_parameter() {
    // The backbone of CoVR-2 and IMAGINE, without BERT's word-prediction head.
    assert_eq!(parameters(&Config::coco_364()), 1_173_189_819 - 622_651);
    for c in [Config::tiny(), Config::toy()] {
        let net = Blip2::new(&c, &crate::cpu());
        assert_eq!(parameters(&c), net.num_params());
    }
}
