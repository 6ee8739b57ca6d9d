//! Foreign names of BLIP-2's weights: LAVIS' (and so CoVR-2's), and those of transformers.
//!
//! Ours are beside LAVIS' in one table, LAVIS' beside transformers' in another; what reads a file of
//! transformers goes through both, and what converts a file goes through the second.
//! Sources: LAVIS `eva_vit.py`, `clip_vit.py`, `Qformer.py` (BSD-3-Clause), and transformers'
//! `convert_blip_2_original_to_pytorch.py` (Apache-2.0).

use super::{Blip2, Config, Corners, Family, resize_positions};
use crate::weights::{
    self, Checkpoint, How, Line, Loaded, Misfit, Names, Source, Table, Way, WeightsError, ZEROS, same, turned,
};
use burn::tensor::Device;
use std::path::Path;

/// Whose names a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `blip2_finetune_coco.pth`, and every checkpoint of CoVR-2.
    Lavis,
    /// `Blip2ForImageTextRetrieval`: `blip2-itm-vit-g` and `-coco`.
    Transformers,
}

/// The vision transformer that LAVIS keeps in a file of its own.
pub const EYE: &str = "eva_vit_g.pth";

/// The same weights with their vision transformer, where LAVIS left it out and [`EYE`] lies in `dir`.
pub fn completed(file: Checkpoint, dir: &Path) -> Result<Checkpoint, WeightsError> {
    let eye = dir.join(EYE);
    let lavis = file.tensors().any(|(name, _)| name.starts_with("Qformer."));
    let sees = file.tensors().any(|(name, _)| name.starts_with("visual_encoder."));
    if !lavis || sees || !eye.is_file() {
        return Ok(file);
    }
    Ok(file.beside(Checkpoint::open(&eye)?, "visual_encoder."))
}

/// Whose names a file has.
///
/// # Errors
/// [`WeightsError::Refused`] for the chat models of the same name, for a file without its vision
/// transformer, and for what is no BLIP-2 at all.
pub fn layout_of(file: &Checkpoint) -> Result<Layout, WeightsError> {
    let has = |name: &str| file.entry(name).is_some();
    let any = |start: &str| file.tensors().any(|(name, _)| name.starts_with(start));
    let refused = |why: &str| Err(WeightsError::Refused(why.to_owned()));
    let layout = match () {
        () if any("qformer.encoder.") => Layout::Transformers,
        () if any("Qformer.bert.") => Layout::Lavis,
        () => return refused("this is no BLIP-2: it has no tensor called qformer.encoder.… or Qformer.bert.…"),
    };
    let words = match layout {
        Layout::Transformers => "embeddings.word_embeddings.weight",
        Layout::Lavis => "Qformer.bert.embeddings.word_embeddings.weight",
    };
    let chat = ["language_model.", "language_projection.", "opt_model.", "opt_proj.", "t5_model.", "t5_proj."];
    if !has(words) || chat.iter().any(|start| any(start)) {
        return refused(
            "this is a BLIP-2 that chats (opt or flan-t5): its Q-Former reads no words and has no projections into a \
             space where pictures and texts can be compared; take blip2-itm-vit-g, blip2-itm-vit-g-coco, or LAVIS' \
             blip2_finetune_coco.pth",
        );
    }
    let sees =
        ["vision_model.embeddings.class_embedding", "visual_encoder.cls_token", "visual_encoder.class_embedding"];
    if !sees.into_iter().any(has) {
        return refused(
            "this file has no vision transformer: LAVIS keeps that of blip2_pretrained.pth in a file of its own, \
             eva_vit_g.pth; put that beside it, or take blip2_finetune_coco.pth, which is whole",
        );
    }
    Ok(layout)
}

/// The sizes of the network in a file, from the shapes of its tensors.
///
/// How many heads there are no shape says: BERT's and CLIP's are 64 wide, EVA ViT-g's 88.
/// The head that predicts words is left out, because nothing that searches needs it.
pub fn config_of(file: &Checkpoint) -> Result<Config, WeightsError> {
    let layout = layout_of(file)?;
    let shape = |name: &str| -> Option<Vec<usize>> {
        let source = Source::of(name).through(&|name| layout.source(name))?;
        Some(source.read(file, None).ok()?.shape().to_vec())
    };
    let axis = |name: &str, i: usize| {
        let found = shape(name).and_then(|shape| shape.get(i).copied());
        found.ok_or_else(|| WeightsError::Absent(layout.name(name)))
    };
    let clip = shape("visual_encoder.class_embedding").is_some();
    let (vit_family, kernel, positions, block, fc1) = if clip {
        let block = "visual_encoder.transformer.resblocks";
        (Family::Clip, "visual_encoder.conv1.weight", "visual_encoder.positional_embedding", block, "mlp.c_fc")
    } else {
        let block = "visual_encoder.blocks";
        (Family::Eva, "visual_encoder.patch_embed.proj.weight", "visual_encoder.pos_embed", block, "mlp.fc1")
    };
    let norm = if clip { "ln_1" } else { "norm1" };
    let counted = |name: &dyn Fn(usize) -> String| (0..).take_while(|i| shape(&name(*i)).is_some()).count();
    let vit_width = axis(kernel, 0)?;
    let patch = axis(kernel, 2)?;
    let tokens = axis(positions, usize::from(!clip))?;
    let width = axis("query_tokens", 2)?;
    let bert = "Qformer.bert.encoder.layer";
    let layers = counted(&|i| format!("{bert}.{i}.output.dense.weight"));
    let crossing = |i: &usize| shape(&format!("{bert}.{i}.crossattention.self.query.weight")).is_some();
    // The files of the transformers alone have the last block, which BLIP-2 does not use.
    let used = match (vit_family, vit_width) {
        (Family::Eva, 1408) => 39,
        (Family::Clip, 1024) => 23,
        _ => usize::MAX,
    };
    let config = Config {
        image: tokens.saturating_sub(1).isqrt() * patch,
        patch,
        vit_family,
        vit_width,
        vit_depth: counted(&|i| format!("{block}.{i}.{norm}.weight")).min(used),
        vit_heads: if vit_width == 1408 { 16 } else { (vit_width / 64).max(1) },
        vit_mlp: axis(&format!("{block}.0.{fc1}.weight"), 0)?,
        // The one number in which the two implementations of the same weights differ.
        ln_vision_eps: if layout == Layout::Transformers { 1e-6 } else { 1e-5 },
        frame_positions: 0,
        width,
        layers,
        heads: (width / 64).max(1),
        mlp: axis(&format!("{bert}.0.intermediate.dense.weight"), 0)?,
        cross_every: (1..layers).find(crossing).unwrap_or(layers),
        queries: axis("query_tokens", 1)?,
        vocab: axis("Qformer.bert.embeddings.word_embeddings.weight", 0)?,
        positions: axis("Qformer.bert.embeddings.position_embeddings.weight", 0)?,
        embed: axis("vision_proj.weight", 0)?,
        itm: shape("itm_head.weight").is_some(),
        text_head: false,
    };
    config
        .check()
        .map_err(|why| WeightsError::Refused(format!("this BLIP-2 is of a shape that is not known: {why}")))?;
    Ok(config)
}

/// A network of this configuration, with the weights of a file; see [`config_of`].
///
/// Positions of another picture size are resized as the reference does it, and reported.
pub fn load(config: &Config, file: &Checkpoint, device: &Device) -> Result<(Blip2, Loaded), WeightsError> {
    let layout = layout_of(file)?;
    let ours = match config.vit_family {
        Family::Eva => &OURS_LAVIS_EVA,
        Family::Clip => &OURS_LAVIS_CLIP,
    };
    let corners =
        if layout == Layout::Lavis && config.vit_family == Family::Clip { Corners::Aligned } else { Corners::Free };
    let resize = |misfit: &Misfit| {
        let [.., tokens, width] = *misfit.want else { return None };
        (misfit.path == "vit.pos_embed").then(|| resize_positions(misfit.values, width, tokens, corners))?
    };
    let names = Names::new(|path| ours.left_from_right(path)?.through(&|name| layout.source(name)))
        .passing(|name| layout.lavis(name).iter().find_map(|name| ours.why_right_only(name)))
        .resizing(resize);
    weights::fill(Blip2::new(config, device), file, &names, device)
}

/// Writes a file in another layout's names, as safetensors, every bit the same; see
/// [`weights::convert`].
pub fn convert(file: &Checkpoint, into: Layout, to: &Path) -> Result<Loaded, WeightsError> {
    let way = match (layout_of(file)?, into) {
        (Layout::Lavis, Layout::Transformers) => Way::Right(&LAVIS_TRANSFORMERS),
        (Layout::Transformers, Layout::Lavis) => Way::Left(&LAVIS_TRANSFORMERS),
        _ => Way::Same,
    };
    weights::convert(file, way, to)
}

impl Layout {
    /// Where a tensor of LAVIS' comes from in a file of this layout.
    fn source(self, lavis: &str) -> Option<Source> {
        match self {
            Self::Lavis => Some(Source::of(lavis)),
            Self::Transformers => LAVIS_TRANSFORMERS.left_from_right(lavis),
        }
    }

    /// What a tensor of LAVIS' is called in this layout.
    fn name(self, lavis: &str) -> String {
        self.source(lavis).and_then(|s| s.leaves().first().map(|n| (*n).to_owned())).unwrap_or(lavis.to_owned())
    }

    /// What a tensor of this layout is called by LAVIS.
    fn lavis(self, name: &str) -> Vec<String> {
        match self {
            Self::Lavis => vec![name.to_owned()],
            Self::Transformers => LAVIS_TRANSFORMERS.left_names(name),
        }
    }
}

const OURS_LAVIS_EVA: Table = Table {
    left: "likebut",
    right: "LAVIS",
    lines: &[EVA, QFORMER],
    left_only: &[("frame_positions", "positions of frames are ours")],
    right_only: LAVIS_ONLY,
};

const OURS_LAVIS_CLIP: Table = Table { lines: &[CLIP, QFORMER], ..OURS_LAVIS_EVA };

const LAVIS_ONLY: &[(&str, &str)] = &[
    ("Qformer.cls.predictions.decoder.weight", "tied to the word embeddings"),
    ("Qformer.cls.predictions.decoder.bias", "tied to the bias of the head that predicts words"),
    ("Qformer.cls.**", "the head that predicts words, which is not asked for"),
    ("itm_head.*", "the head that matches, which is not asked for"),
    ("Qformer.bert.embeddings.position_ids", "counted, not learnt"),
    ("temp", "a temperature, used in training only"),
    ("visual_encoder.blocks.39.**", "the last block, which BLIP-2 leaves out"),
    ("visual_encoder.transformer.resblocks.23.**", "the last block, which BLIP-2 leaves out"),
    ("visual_encoder.norm.*", "the last norm, which BLIP-2 leaves out"),
    ("visual_encoder.fc_norm.*", "the last norm, which BLIP-2 leaves out"),
    ("visual_encoder.head.*", "the head of the vision transformer, which BLIP-2 leaves out"),
];

/// Ours, and LAVIS' `visual_encoder` where it is EVA's ViT-g.
const EVA: &[Line] = &[
    Line { left: &["vit.patch_embed.weight"], right: "visual_encoder.patch_embed.proj.weight", how: How::Patch },
    same(&["vit.patch_embed.bias"], "visual_encoder.patch_embed.proj.bias"),
    same(&["vit.cls_token"], "visual_encoder.cls_token"),
    same(&["vit.pos_embed"], "visual_encoder.pos_embed"),
    same(&["vit.blocks.*.norm1.gamma"], "visual_encoder.blocks.*.norm1.weight"),
    same(&["vit.blocks.*.norm1.beta"], "visual_encoder.blocks.*.norm1.bias"),
    turned(&["vit.blocks.*.qkv"], "visual_encoder.blocks.*.attn.qkv.weight"),
    same(&["vit.blocks.*.q_bias"], "visual_encoder.blocks.*.attn.q_bias"),
    same(&["vit.blocks.*.v_bias"], "visual_encoder.blocks.*.attn.v_bias"),
    turned(&["vit.blocks.*.proj.weight"], "visual_encoder.blocks.*.attn.proj.weight"),
    same(&["vit.blocks.*.proj.bias"], "visual_encoder.blocks.*.attn.proj.bias"),
    same(&["vit.blocks.*.norm2.gamma"], "visual_encoder.blocks.*.norm2.weight"),
    same(&["vit.blocks.*.norm2.beta"], "visual_encoder.blocks.*.norm2.bias"),
    turned(&["vit.blocks.*.fc1.weight"], "visual_encoder.blocks.*.mlp.fc1.weight"),
    same(&["vit.blocks.*.fc1.bias"], "visual_encoder.blocks.*.mlp.fc1.bias"),
    turned(&["vit.blocks.*.fc2.weight"], "visual_encoder.blocks.*.mlp.fc2.weight"),
    same(&["vit.blocks.*.fc2.bias"], "visual_encoder.blocks.*.mlp.fc2.bias"),
];

/// Ours, and LAVIS' `visual_encoder` where it is CLIP's ViT-L.
/// The bias of the keys is left: it cannot change what attention sees.
const CLIP: &[Line] = &[
    Line { left: &["vit.patch_embed.weight"], right: "visual_encoder.conv1.weight", how: How::Patch },
    Line { left: &["vit.cls_token"], right: "visual_encoder.class_embedding", how: How::LedTwice },
    Line { left: &["vit.pos_embed"], right: "visual_encoder.positional_embedding", how: How::Led },
    same(&["vit.norm_pre.gamma"], "visual_encoder.ln_pre.weight"),
    same(&["vit.norm_pre.beta"], "visual_encoder.ln_pre.bias"),
    same(&["vit.blocks.*.norm1.gamma"], "visual_encoder.transformer.resblocks.*.ln_1.weight"),
    same(&["vit.blocks.*.norm1.beta"], "visual_encoder.transformer.resblocks.*.ln_1.bias"),
    turned(&["vit.blocks.*.qkv"], "visual_encoder.transformer.resblocks.*.attn.in_proj_weight"),
    same(
        &["vit.blocks.*.q_bias", ZEROS, "vit.blocks.*.v_bias"],
        "visual_encoder.transformer.resblocks.*.attn.in_proj_bias",
    ),
    turned(&["vit.blocks.*.proj.weight"], "visual_encoder.transformer.resblocks.*.attn.out_proj.weight"),
    same(&["vit.blocks.*.proj.bias"], "visual_encoder.transformer.resblocks.*.attn.out_proj.bias"),
    same(&["vit.blocks.*.norm2.gamma"], "visual_encoder.transformer.resblocks.*.ln_2.weight"),
    same(&["vit.blocks.*.norm2.beta"], "visual_encoder.transformer.resblocks.*.ln_2.bias"),
    turned(&["vit.blocks.*.fc1.weight"], "visual_encoder.transformer.resblocks.*.mlp.c_fc.weight"),
    same(&["vit.blocks.*.fc1.bias"], "visual_encoder.transformer.resblocks.*.mlp.c_fc.bias"),
    turned(&["vit.blocks.*.fc2.weight"], "visual_encoder.transformer.resblocks.*.mlp.c_proj.weight"),
    same(&["vit.blocks.*.fc2.bias"], "visual_encoder.transformer.resblocks.*.mlp.c_proj.bias"),
];

/// Ours, and all of LAVIS' that is not the vision transformer.
const QFORMER: &[Line] = &[
    same(&["ln_vision.gamma"], "ln_vision.weight"),
    same(&["ln_vision.beta"], "ln_vision.bias"),
    same(&["qformer.query_tokens"], "query_tokens"),
    same(&["qformer.word_embeddings"], "Qformer.bert.embeddings.word_embeddings.weight"),
    same(&["qformer.position_embeddings"], "Qformer.bert.embeddings.position_embeddings.weight"),
    same(&["qformer.norm.gamma"], "Qformer.bert.embeddings.LayerNorm.weight"),
    same(&["qformer.norm.beta"], "Qformer.bert.embeddings.LayerNorm.bias"),
    turned(&["qformer.layers.*.own.output.weight"], "Qformer.bert.encoder.layer.*.attention.output.dense.weight"),
    same(&["qformer.layers.*.own.output.bias"], "Qformer.bert.encoder.layer.*.attention.output.dense.bias"),
    same(&["qformer.layers.*.own.norm.gamma"], "Qformer.bert.encoder.layer.*.attention.output.LayerNorm.weight"),
    same(&["qformer.layers.*.own.norm.beta"], "Qformer.bert.encoder.layer.*.attention.output.LayerNorm.bias"),
    // Query, key and value.
    turned(&["qformer.layers.*.own.*.weight"], "Qformer.bert.encoder.layer.*.attention.self.*.weight"),
    same(&["qformer.layers.*.own.*.bias"], "Qformer.bert.encoder.layer.*.attention.self.*.bias"),
    turned(
        &["qformer.layers.*.cross.output.weight"],
        "Qformer.bert.encoder.layer.*.crossattention.output.dense.weight",
    ),
    same(&["qformer.layers.*.cross.output.bias"], "Qformer.bert.encoder.layer.*.crossattention.output.dense.bias"),
    same(&["qformer.layers.*.cross.norm.gamma"], "Qformer.bert.encoder.layer.*.crossattention.output.LayerNorm.weight"),
    same(&["qformer.layers.*.cross.norm.beta"], "Qformer.bert.encoder.layer.*.crossattention.output.LayerNorm.bias"),
    turned(&["qformer.layers.*.cross.*.weight"], "Qformer.bert.encoder.layer.*.crossattention.self.*.weight"),
    same(&["qformer.layers.*.cross.*.bias"], "Qformer.bert.encoder.layer.*.crossattention.self.*.bias"),
    turned(&["qformer.layers.*.words.inner.weight"], "Qformer.bert.encoder.layer.*.intermediate.dense.weight"),
    same(&["qformer.layers.*.words.inner.bias"], "Qformer.bert.encoder.layer.*.intermediate.dense.bias"),
    turned(&["qformer.layers.*.words.output.weight"], "Qformer.bert.encoder.layer.*.output.dense.weight"),
    same(&["qformer.layers.*.words.output.bias"], "Qformer.bert.encoder.layer.*.output.dense.bias"),
    same(&["qformer.layers.*.words.norm.gamma"], "Qformer.bert.encoder.layer.*.output.LayerNorm.weight"),
    same(&["qformer.layers.*.words.norm.beta"], "Qformer.bert.encoder.layer.*.output.LayerNorm.bias"),
    turned(&["qformer.layers.*.queries.inner.weight"], "Qformer.bert.encoder.layer.*.intermediate_query.dense.weight"),
    same(&["qformer.layers.*.queries.inner.bias"], "Qformer.bert.encoder.layer.*.intermediate_query.dense.bias"),
    turned(&["qformer.layers.*.queries.output.weight"], "Qformer.bert.encoder.layer.*.output_query.dense.weight"),
    same(&["qformer.layers.*.queries.output.bias"], "Qformer.bert.encoder.layer.*.output_query.dense.bias"),
    same(&["qformer.layers.*.queries.norm.gamma"], "Qformer.bert.encoder.layer.*.output_query.LayerNorm.weight"),
    same(&["qformer.layers.*.queries.norm.beta"], "Qformer.bert.encoder.layer.*.output_query.LayerNorm.bias"),
    turned(&["vision_proj.weight"], "vision_proj.weight"),
    same(&["vision_proj.bias"], "vision_proj.bias"),
    turned(&["text_proj.weight"], "text_proj.weight"),
    same(&["text_proj.bias"], "text_proj.bias"),
    turned(&["itm_head.weight"], "itm_head.weight"),
    same(&["itm_head.bias"], "itm_head.bias"),
    turned(&["text_head.dense.weight"], "Qformer.cls.predictions.transform.dense.weight"),
    same(&["text_head.dense.bias"], "Qformer.cls.predictions.transform.dense.bias"),
    same(&["text_head.norm.gamma"], "Qformer.cls.predictions.transform.LayerNorm.weight"),
    same(&["text_head.norm.beta"], "Qformer.cls.predictions.transform.LayerNorm.bias"),
    same(&["text_head.bias"], "Qformer.cls.predictions.bias"),
];

/// LAVIS' names and those of transformers; for EVA's ViT-g, the only one that transformers has.
pub const LAVIS_TRANSFORMERS: Table = Table {
    left: "LAVIS",
    right: "transformers",
    lines: &[&[
        same(&["visual_encoder.cls_token"], "vision_model.embeddings.class_embedding"),
        same(&["visual_encoder.pos_embed"], "vision_model.embeddings.position_embedding"),
        same(&["visual_encoder.patch_embed.proj.*"], "vision_model.embeddings.patch_embedding.*"),
        same(&["visual_encoder.blocks.*.norm1.*"], "vision_model.encoder.layers.*.layer_norm1.*"),
        same(&["visual_encoder.blocks.*.norm2.*"], "vision_model.encoder.layers.*.layer_norm2.*"),
        same(&["visual_encoder.blocks.*.attn.qkv.weight"], "vision_model.encoder.layers.*.self_attn.qkv.weight"),
        same(
            &["visual_encoder.blocks.*.attn.q_bias", ZEROS, "visual_encoder.blocks.*.attn.v_bias"],
            "vision_model.encoder.layers.*.self_attn.qkv.bias",
        ),
        same(&["visual_encoder.blocks.*.attn.proj.*"], "vision_model.encoder.layers.*.self_attn.projection.*"),
        same(&["visual_encoder.blocks.*.mlp.**"], "vision_model.encoder.layers.*.mlp.**"),
        same(&["ln_vision.*"], "vision_model.post_layernorm.*"),
        same(&["query_tokens"], "query_tokens"),
        same(&["Qformer.bert.embeddings.word_embeddings.weight"], "embeddings.word_embeddings.weight"),
        same(&["Qformer.bert.embeddings.position_embeddings.weight"], "embeddings.position_embeddings.weight"),
        same(&["Qformer.bert.embeddings.LayerNorm.*"], "qformer.layernorm.*"),
        same(&["Qformer.bert.encoder.layer.*.attention.self.**"], "qformer.encoder.layer.*.attention.attention.**"),
        same(
            &["Qformer.bert.encoder.layer.*.crossattention.self.**"],
            "qformer.encoder.layer.*.crossattention.attention.**",
        ),
        same(&["Qformer.bert.encoder.**"], "qformer.encoder.**"),
        same(&["vision_proj.*"], "vision_projection.*"),
        same(&["text_proj.*"], "text_projection.*"),
        same(&["itm_head.*"], "itm_head.*"),
    ]],
    left_only: &[
        ("Qformer.cls.**", "the head that predicts words, which transformers does not have"),
        ("Qformer.bert.embeddings.position_ids", "counted, not learnt"),
        ("temp", "a temperature, used in training only"),
    ],
    right_only: &[("embeddings.position_ids", "counted, not learnt")],
};
