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
fn calls_side_by_side_are_the_calls_one_after_the_other() {
    let (net, device) = tiny();
    let tokens = net.see(Tensor::<4>::random([3, 3, 28, 28], Distribution::Normal(0.0, 1.0), &device));
    let sight = net.sight(tokens, &Frames { of: vec![vec![0], vec![1, 2]] });
    let text = words(&[&[2, 5, 6, 7, 3], &[2, 9, 3]], &device);
    let [looked, read, composed] = net.qformer.hear(&sight, &text);
    assert!(gap(looked, net.qformer.look(&sight)) < 1e-6);
    assert!(gap(composed, net.qformer.compose(&sight, &text)) < 1e-6);
    assert!(gap(read, net.qformer.read(&text)) < 1e-6);
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

#[test]
fn the_published_size_is_reached_to_the_parameter() {
    // The backbone of CoVR-2 and IMAGINE, without and with BERT's word-prediction head.
    let published = Config { itm: false, ..Config::coco_364() };
    assert_eq!(published.parameters(), 1_172_567_168);
    assert_eq!(Config { text_head: true, ..published }.parameters(), 1_173_189_819);
    let clip = Config { vit_family: Family::Clip, ..Config::tiny() };
    let heads = Config { itm: true, text_head: true, layers: 3, ..Config::tiny() };
    for c in [Config::tiny(), Config::toy(), clip, heads] {
        assert_eq!(c.parameters(), Blip2::new(&c, &crate::cpu()).num_params(), "{c:?}");
    }
}

#[test]
fn heads_that_are_not_there_say_so() {
    let (net, device) = tiny();
    let sight = net.sight(net.see(Tensor::zeros([1, 3, 28, 28], &device)), &Frames { of: vec![vec![0]] });
    let text = words(&[&[2, 5, 3]], &device);
    assert!(net.matching(&sight, &text).is_none());
    assert!(net.word_logits(net.qformer.read(&text)).is_none());
}
