//! The sizes of a BLIP-2 backbone, and the named presets.

/// Which vision transformer: EVA's, or CLIP's, which BLIP-2's smaller checkpoint was made with.
///
/// Both are pre-norm transformers without a final norm. CLIP's has a norm before the first block, no
/// bias on the patches, QuickGELU for GELU, and norms with eps 1e-5 where EVA's have 1e-6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// EVA-CLIP ViT-g/14; LAVIS `eva_vit.py`.
    #[default]
    Eva,
    /// CLIP ViT-L/14 less its last block; LAVIS `clip_vit.py`.
    Clip,
}

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
    /// Which vision transformer; EVA's where a manifest says nothing.
    #[serde(default)]
    pub vit_family: Family,
    /// Width of the vision transformer.
    pub vit_width: usize,
    /// Blocks of the vision transformer.
    pub vit_depth: usize,
    /// Heads of the vision transformer; divide the width.
    pub vit_heads: usize,
    /// Hidden width of the vision transformer's MLP.
    pub vit_mlp: usize,
    /// Added to the variance in `ln_vision`: 1e-5 in LAVIS and all that grew from it, 1e-6 in
    /// transformers. Weights are of one or the other; where a manifest says nothing it is LAVIS'.
    #[serde(default = "lavis_ln_vision_eps")]
    pub ln_vision_eps: f64,
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
    /// Whether there is a head that says if a text fits a picture.
    #[serde(default)]
    pub itm: bool,
    /// Whether there is BERT's head that predicts words; its last product is the word embeddings.
    #[serde(default)]
    pub text_head: bool,
}

/// PyTorch's default, which LAVIS leaves as it is.
fn lavis_ln_vision_eps() -> f64 {
    1e-5
}

/// The named sizes.
pub const PRESETS: &[(&str, fn() -> Config)] = &[
    ("tiny", Config::tiny),
    ("toy", Config::toy),
    ("toy-fine", Config::toy_fine),
    ("blip2-coco-364", Config::coco_364),
    ("blip2-pretrain-224", Config::pretrain_224),
    ("blip2-pretrain-vitl-224", Config::pretrain_vitl_224),
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
            vit_family: Family::Eva,
            vit_width: 16,
            vit_depth: 2,
            vit_heads: 2,
            vit_mlp: 32,
            ln_vision_eps: lavis_ln_vision_eps(),
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
            itm: false,
            text_head: false,
        }
    }

    /// The embedded default: five million parameters, trained on drawn scenes.
    pub fn toy() -> Self {
        Self {
            image: 112,
            patch: 16,
            vit_family: Family::Eva,
            vit_width: 192,
            vit_depth: 6,
            vit_heads: 3,
            vit_mlp: 768,
            ln_vision_eps: lavis_ln_vision_eps(),
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
            itm: false,
            text_head: false,
        }
    }

    /// The same with patches of 8 pixels: four times the cost, and sees what is small.
    /// Best begun from a coarser one, see [`finer`](super::finer).
    pub fn toy_fine() -> Self {
        Self { patch: 8, ..Self::toy() }
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
            vit_family: Family::Eva,
            vit_width: 1408,
            vit_depth: 39,
            vit_heads: 16,
            vit_mlp: 6144,
            ln_vision_eps: lavis_ln_vision_eps(),
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
            itm: true,
            text_head: false,
        }
    }

    /// `blip2_pretrain_vitL`: CLIP ViT-L/14 less its last block, and the same Q-Former.
    pub fn pretrain_vitl_224() -> Self {
        Self { vit_family: Family::Clip, vit_width: 1024, vit_depth: 23, vit_mlp: 4096, ..Self::pretrain_224() }
    }

    /// Tokens of one frame: patches and the class token.
    pub fn tokens(&self) -> usize {
        (self.image / self.patch).pow(2) + 1
    }

    /// Numbers to be learnt, by arithmetic: nothing is allocated.
    ///
    /// The published figure for the backbone of CoVR-2 and IMAGINE, 1,173,189,819, counts the head
    /// that predicts words and leaves out the one for matching.
    ///
    /// ```
    /// use nets::blip2::Config;
    /// let published = Config { itm: false, text_head: true, ..Config::coco_364() };
    /// assert_eq!(published.parameters(), 1_173_189_819);
    /// assert_eq!(Config { text_head: false, ..published }.parameters(), 1_172_567_168);
    /// ```
    pub fn parameters(&self) -> usize {
        let (dv, d) = (self.vit_width, self.width);
        let norm = |w: usize| 2 * w;
        let linear = |i: usize, o: usize| i * o + o;
        let vit_mlp = linear(dv, self.vit_mlp) + linear(self.vit_mlp, dv);
        let block = 2 * norm(dv) + 3 * dv * dv + 2 * dv + linear(dv, dv) + vit_mlp;
        let first = match self.vit_family {
            Family::Eva => dv,        // the patches' bias
            Family::Clip => norm(dv), // the norm before the first block
        };
        let pixels = 3 * self.patch * self.patch;
        let vit = pixels * dv + first + dv + self.tokens() * dv + self.vit_depth * block;
        let attention = |seen: usize| 2 * linear(d, d) + 2 * linear(seen, d) + norm(d);
        let feed = linear(d, self.mlp) + linear(self.mlp, d) + norm(d);
        let qformer = self.queries * d
            + (self.vocab + self.positions) * d
            + norm(d)
            + self.layers * (attention(d) + 2 * feed)
            + self.layers.div_ceil(self.cross_every) * attention(dv);
        let heads = 2 * linear(d, self.embed)
            + if self.itm { linear(d, 2) } else { 0 }
            + if self.text_head { linear(d, d) + norm(d) + self.vocab } else { 0 };
        vit + norm(dv) + self.frame_positions * dv + qformer + heads
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
        if !(self.ln_vision_eps > 0.0 && self.ln_vision_eps < 1.0) {
            return Err(format!("ln_vision_eps: {} is no small positive number", self.ln_vision_eps));
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
        assert!(Config { ln_vision_eps: f64::NAN, ..Config::toy() }.check().is_err());
    }

    #[test]
    fn a_manifest_from_before_there_was_a_choice_is_read() {
        let mut old = serde_json::to_value(Config::toy()).unwrap();
        let new = ["vit_family", "ln_vision_eps", "itm", "text_head"];
        new.iter().for_each(|f| drop(old.as_object_mut().unwrap().remove(*f).unwrap()));
        assert_eq!(serde_json::from_value::<Config>(old).unwrap(), Config::toy());
    }
}
