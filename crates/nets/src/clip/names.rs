//! CLIP's names in transformers and in OpenCLIP, whose are OpenAI's too, side by side.
//!
//! Read either way by [`weights::convert`](crate::weights::convert): three projections here are one there.

use crate::weights::{Line, Table, same, turned};

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
