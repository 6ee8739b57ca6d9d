//! SigLIP part by part against transformers (`fixtures/golden/clip.py`).

use super::import::{config_from_hugging_face, names};
use super::*;
use crate::clip::golden::{Golden, json, path};
use crate::layers::normalise;
use crate::weights::{Checkpoint, fill};

#[test]
fn every_part_is_that_of_transformers() {
    let device = crate::cpu();
    let config = config_from_hugging_face(&json("siglip.json")).unwrap();
    let file = Checkpoint::open(&path("siglip.safetensors")).unwrap();
    let (net, report) = fill(Siglip::new(&config, &device), &file, &names(), &device).unwrap();
    assert!(report.unexpected.is_empty() && report.missing.is_empty(), "{report}");
    let golden = Golden::open("siglip-golden.safetensors");

    let patches = net.vision.patch_embed.forward(layers::patches(golden.tensor("pixels"), config.patch));
    let mut x = patches + net.vision.pos_embed.val().unsqueeze::<3>();
    golden.same("vision_model.embeddings", x.clone());
    for (i, block) in net.vision.transformer.blocks.iter().enumerate() {
        x = net.vision.transformer.step(block, x);
        golden.same(&format!("vision_model.encoder.layers.{i}"), x.clone());
    }
    golden.same("vision_model.post_layernorm", net.vision.tokens(golden.tensor("pixels")));
    let seen = net.vision.forward(golden.tensor("pixels"));
    golden.same("vision_model.head", seen.clone());
    golden.same("image_embeds", normalise(seen.clone()));

    let words = golden.words();
    golden.same(
        "text_model.final_layer_norm",
        net.text.norm.forward(net.text.transformer.forward(net.text.start(&words))),
    );
    let said = net.text.forward(&words);
    golden.same("text_model.head", said.clone());
    golden.same("text_embeds", normalise(said.clone()));
    let (scale, bias) = crate::Backbone::from(net).logit().unwrap();
    golden.same("logits_per_image", normalise(seen).matmul(normalise(said).transpose()) * scale + bias);
}

#[test]
fn what_is_no_siglip_is_refused_with_the_reason() {
    let refused = |json: serde_json::Value| config_from_hugging_face(&json).unwrap_err();
    assert!(refused(serde_json::json!({"vision_config": {"vision_use_head": false}})).contains("pooling head"));
    assert!(
        refused(serde_json::json!({"vision_config": {"hidden_size": 1024, "num_attention_heads": 16}}))
            .contains("1024")
    );
}
