//! The sizes of a BLIP-2 backbone, and the named presets.

/// Everything that decides the shape of a BLIP-2 backbone.
///
/// One code for all sizes: what is trained at `toy` size here is the architecture that loads the
/// published weights.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Side of the square picture, pixels; a multiple of `patch`.
    pub image: usize,
    /// Side of a patch, pixels.
    pub patch: usize,
    /// Width of the vision transformer.
    pub vit_width: usize,
    /// Blocks of the vision transformer.
    pub vit_depth: usize,
    /// Heads of the vision transformer; divide the width.
    pub vit_heads: usize,
    /// Hidden width of the vision transformer's MLP.
    pub vit_mlp: usize,
    /// Learned positions for the frames of a clip, added after `ln_vision`.
    /// 0 as published: there a clip's frames are a bag. With positions, order can be seen.
    pub frame_positions: usize,
    /// Width of the Q-Former.
    pub width: usize,
    /// Layers of the Q-Former.
    pub layers: usize,
    /// Heads of the Q-Former; divide the width.
    pub heads: usize,
    /// Hidden width of the Q-Former's two feed-forward networks.
    pub mlp: usize,
    /// Cross-attention in every layer whose index this divides.
    pub cross_every: usize,
    /// Query tokens.
    pub queries: usize,
    /// Words the tokenizer knows.
    pub vocab: usize,
    /// Longest text, in tokens.
    pub positions: usize,
    /// Dimension of the shared space.
    pub embed: usize,
}

/// The named sizes.
pub const PRESETS: &[(&str, fn() -> Config)] = &[
    ("tiny", Config::tiny),
    ("toy", Config::toy),
    ("blip2-coco-364", Config::coco_364),
    ("blip2-pretrain-224", Config::pretrain_224),
];

impl Config {
    /// A preset by name.
    pub fn preset(name: &str) -> Option<Self> {
        PRESETS.iter().find(|(n, _)| *n == name).map(|(_, make)| make())
    }

    /// Small enough for unit tests.
    pub fn tiny() -> Self {
        Self {
            image: 28,
            patch: 14,
            vit_width: 16,
            vit_depth: 2,
            vit_heads: 2,
            vit_mlp: 32,
            frame_positions: 2,
            width: 16,
            layers: 2,
            heads: 2,
            mlp: 32,
            cross_every: 2,
            queries: 4,
            vocab: 64,
            positions: 32,
            embed: 8,
        }
    }

    /// The embedded default: five million parameters, trained on drawn scenes.
    pub fn toy() -> Self {
        Self {
            image: 112,
            patch: 16,
            vit_width: 192,
            vit_depth: 6,
            vit_heads: 3,
            vit_mlp: 768,
            frame_positions: 2,
            width: 192,
            layers: 4,
            heads: 3,
            mlp: 384,
            cross_every: 2,
            queries: 16,
            vocab: 768,
            positions: 64,
            embed: 128,
        }
    }

    /// `blip2_finetune_coco`: what CoVR-2 and IMAGINE start from.
    pub fn coco_364() -> Self {
        Self { image: 364, ..Self::pretrain_224() }
    }

    /// `blip2_pretrain`: EVA ViT-g/14 at 224 pixels and a BERT-base Q-Former.
    pub fn pretrain_224() -> Self {
        Self {
            image: 224,
            patch: 14,
            vit_width: 1408,
            vit_depth: 39,
            vit_heads: 16,
            vit_mlp: 6144,
            frame_positions: 0,
            width: 768,
            layers: 12,
            heads: 12,
            mlp: 3072,
            cross_every: 2,
            queries: 32,
            vocab: 30523,
            positions: 512,
            embed: 256,
        }
    }

    /// Tokens of one frame: patches and the class token.
    pub fn tokens(&self) -> usize {
        (self.image / self.patch).pow(2) + 1
    }

    /// Whether the sizes fit together; the message says which do not.
    pub fn check(&self) -> Result<(), String> {
        let divides = |what: &str, whole: usize, part: usize| {
            if part == 0 || whole == 0 || !whole.is_multiple_of(part) {
                Err(format!("{what}: {part} must divide {whole}"))
            } else {
                Ok(())
            }
        };
        divides("image and patch", self.image, self.patch)?;
        divides("vit_width and vit_heads", self.vit_width, self.vit_heads)?;
        divides("width and heads", self.width, self.heads)?;
        let sizes = [
            self.vit_depth,
            self.vit_mlp,
            self.layers,
            self.mlp,
            self.cross_every,
            self.queries,
            self.vocab,
            self.positions,
            self.embed,
        ];
        if sizes.contains(&0) {
            return Err("every size except frame_positions must be at least 1".into());
        }
        // The largest published model is far below these; a hostile file must not make us allocate.
        if self.image > 4096
            || self.vocab > 1 << 20
            || sizes.iter().chain([&self.vit_width, &self.width]).any(|s| *s > 1 << 20)
        {
            return Err("a size is larger than any known model's".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_fit_together() {
        for (name, make) in PRESETS {
            make().check().unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        assert!(Config { vit_heads: 5, ..Config::toy() }.check().is_err());
    }
}
