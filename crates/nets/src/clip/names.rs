//! CLIP's names side by side: ours, OpenCLIP's, which are OpenAI's too, and those of transformers.
//!
//! Ours are beside OpenCLIP's in one table, those of transformers in another; what reads a file of
//! transformers goes through both, and [`weights::convert`](crate::weights::convert) goes through
//! the second, either way: three projections there are one here.

use crate::weights::{How, Line, Table, same, turned};

/// Ours and OpenCLIP's.
pub const OURS_OPENCLIP: Table = Table {
    left: "likebut",
    right: "OpenCLIP",
    lines: &[&[
        Line { left: &["logit_scale"], right: "logit_scale", how: How::Led },
        Line { left: &["vision.patch_embed"], right: "visual.conv1.weight", how: How::Patch },
        same(&["vision.cls_token"], "visual.class_embedding"),
        same(&["vision.pos_embed"], "visual.positional_embedding"),
        same(&["vision.proj"], "visual.proj"),
        same(&["vision.norm_pre.gamma"], "visual.ln_pre.weight"),
        same(&["vision.norm_pre.beta"], "visual.ln_pre.bias"),
        same(&["vision.norm_post.gamma"], "visual.ln_post.weight"),
        same(&["vision.norm_post.beta"], "visual.ln_post.bias"),
        same(&["text.token_embed"], "token_embedding.weight"),
        same(&["text.pos_embed"], "positional_embedding"),
        same(&["text.norm.gamma"], "ln_final.weight"),
        same(&["text.norm.beta"], "ln_final.bias"),
        same(&["text.proj"], "text_projection"),
        same(&["vision.transformer.blocks.*.norm1.gamma"], "visual.transformer.resblocks.*.ln_1.weight"),
        same(&["vision.transformer.blocks.*.norm1.beta"], "visual.transformer.resblocks.*.ln_1.bias"),
        turned(&["vision.transformer.blocks.*.qkv.weight"], "visual.transformer.resblocks.*.attn.in_proj_weight"),
        same(&["vision.transformer.blocks.*.qkv.bias"], "visual.transformer.resblocks.*.attn.in_proj_bias"),
        turned(&["vision.transformer.blocks.*.proj.weight"], "visual.transformer.resblocks.*.attn.out_proj.weight"),
        same(&["vision.transformer.blocks.*.proj.bias"], "visual.transformer.resblocks.*.attn.out_proj.bias"),
        same(&["vision.transformer.blocks.*.norm2.gamma"], "visual.transformer.resblocks.*.ln_2.weight"),
        same(&["vision.transformer.blocks.*.norm2.beta"], "visual.transformer.resblocks.*.ln_2.bias"),
        turned(&["vision.transformer.blocks.*.fc1.weight"], "visual.transformer.resblocks.*.mlp.c_fc.weight"),
        same(&["vision.transformer.blocks.*.fc1.bias"], "visual.transformer.resblocks.*.mlp.c_fc.bias"),
        turned(&["vision.transformer.blocks.*.fc2.weight"], "visual.transformer.resblocks.*.mlp.c_proj.weight"),
        same(&["vision.transformer.blocks.*.fc2.bias"], "visual.transformer.resblocks.*.mlp.c_proj.bias"),
        same(&["text.transformer.blocks.*.norm1.gamma"], "transformer.resblocks.*.ln_1.weight"),
        same(&["text.transformer.blocks.*.norm1.beta"], "transformer.resblocks.*.ln_1.bias"),
        turned(&["text.transformer.blocks.*.qkv.weight"], "transformer.resblocks.*.attn.in_proj_weight"),
        same(&["text.transformer.blocks.*.qkv.bias"], "transformer.resblocks.*.attn.in_proj_bias"),
        turned(&["text.transformer.blocks.*.proj.weight"], "transformer.resblocks.*.attn.out_proj.weight"),
        same(&["text.transformer.blocks.*.proj.bias"], "transformer.resblocks.*.attn.out_proj.bias"),
        same(&["text.transformer.blocks.*.norm2.gamma"], "transformer.resblocks.*.ln_2.weight"),
        same(&["text.transformer.blocks.*.norm2.beta"], "transformer.resblocks.*.ln_2.bias"),
        turned(&["text.transformer.blocks.*.fc1.weight"], "transformer.resblocks.*.mlp.c_fc.weight"),
        same(&["text.transformer.blocks.*.fc1.bias"], "transformer.resblocks.*.mlp.c_fc.bias"),
        turned(&["text.transformer.blocks.*.fc2.weight"], "transformer.resblocks.*.mlp.c_proj.weight"),
        same(&["text.transformer.blocks.*.fc2.bias"], "transformer.resblocks.*.mlp.c_proj.bias"),
    ]],
    left_only: &[],
    right_only: TRANSFORMERS_OPENCLIP.right_only,
};

/// Transformers' names and OpenCLIP's.
pub const TRANSFORMERS_OPENCLIP: Table = Table {
    left: "transformers",
    right: "OpenCLIP",
    lines: &[LINES],
    left_only: &[
        ("vision_model.embeddings.position_ids", "counted, not learnt"),
        ("text_model.embeddings.position_ids", "counted, not learnt"),
    ],
    right_only: &[
        ("attn_mask", "computed, not learnt"),
        ("input_resolution", "a setting that OpenAI keeps among the tensors"),
        ("context_length", "a setting that OpenAI keeps among the tensors"),
        ("vocab_size", "a setting that OpenAI keeps among the tensors"),
    ],
};

const LINES: &[Line] = &[
    same(&["logit_scale"], "logit_scale"),
    same(&["vision_model.embeddings.class_embedding"], "visual.class_embedding"),
    same(&["vision_model.embeddings.patch_embedding.weight"], "visual.conv1.weight"),
    same(&["vision_model.embeddings.position_embedding.weight"], "visual.positional_embedding"),
    // Misspelt there, and so in every file.
    same(&["vision_model.pre_layrnorm.*"], "visual.ln_pre.*"),
    same(&["vision_model.post_layernorm.*"], "visual.ln_post.*"),
    turned(&["visual_projection.weight"], "visual.proj"),
    same(&["text_model.embeddings.token_embedding.weight"], "token_embedding.weight"),
    same(&["text_model.embeddings.position_embedding.weight"], "positional_embedding"),
    same(&["text_model.final_layer_norm.*"], "ln_final.*"),
    turned(&["text_projection.weight"], "text_projection"),
    same(
        &[
            "vision_model.encoder.layers.*.self_attn.q_proj.weight",
            "vision_model.encoder.layers.*.self_attn.k_proj.weight",
            "vision_model.encoder.layers.*.self_attn.v_proj.weight",
        ],
        "visual.transformer.resblocks.*.attn.in_proj_weight",
    ),
    same(
        &[
            "vision_model.encoder.layers.*.self_attn.q_proj.bias",
            "vision_model.encoder.layers.*.self_attn.k_proj.bias",
            "vision_model.encoder.layers.*.self_attn.v_proj.bias",
        ],
        "visual.transformer.resblocks.*.attn.in_proj_bias",
    ),
    same(&["vision_model.encoder.layers.*.self_attn.out_proj.*"], "visual.transformer.resblocks.*.attn.out_proj.*"),
    same(&["vision_model.encoder.layers.*.layer_norm1.*"], "visual.transformer.resblocks.*.ln_1.*"),
    same(&["vision_model.encoder.layers.*.layer_norm2.*"], "visual.transformer.resblocks.*.ln_2.*"),
    same(&["vision_model.encoder.layers.*.mlp.fc1.*"], "visual.transformer.resblocks.*.mlp.c_fc.*"),
    same(&["vision_model.encoder.layers.*.mlp.fc2.*"], "visual.transformer.resblocks.*.mlp.c_proj.*"),
    same(
        &[
            "text_model.encoder.layers.*.self_attn.q_proj.weight",
            "text_model.encoder.layers.*.self_attn.k_proj.weight",
            "text_model.encoder.layers.*.self_attn.v_proj.weight",
        ],
        "transformer.resblocks.*.attn.in_proj_weight",
    ),
    same(
        &[
            "text_model.encoder.layers.*.self_attn.q_proj.bias",
            "text_model.encoder.layers.*.self_attn.k_proj.bias",
            "text_model.encoder.layers.*.self_attn.v_proj.bias",
        ],
        "transformer.resblocks.*.attn.in_proj_bias",
    ),
    same(&["text_model.encoder.layers.*.self_attn.out_proj.*"], "transformer.resblocks.*.attn.out_proj.*"),
    same(&["text_model.encoder.layers.*.layer_norm1.*"], "transformer.resblocks.*.ln_1.*"),
    same(&["text_model.encoder.layers.*.layer_norm2.*"], "transformer.resblocks.*.ln_2.*"),
    same(&["text_model.encoder.layers.*.mlp.fc1.*"], "transformer.resblocks.*.mlp.c_fc.*"),
    same(&["text_model.encoder.layers.*.mlp.fc2.*"], "transformer.resblocks.*.mlp.c_proj.*"),
];
