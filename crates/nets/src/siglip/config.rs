//! The sizes of a SigLIP backbone, and the named presets.

use crate::clip::Tower;
use crate::layers::Activation;

/// Everything that decides the shape of a SigLIP backbone.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Side of the square picture, pixels; a multiple of `patch`.
    pub image: usize,
    /// Side of a patch, pixels.
    pub patch: usize,
    /// The tower that reads pictures; its width is the dimension of the shared space.
    pub vision: Tower,
    /// The tower that reads words.
    pub text: Tower,
    /// Pieces the tokenizer knows.
    pub vocab: usize,
    /// Length of every text, in tokens.
    pub context: usize,
    /// Between the two products of a feed-forward network.
    pub activation: Activation,
    /// Added to the variance in every layer norm.
    pub eps: f64,
}

/// The named sizes.
pub const PRESETS: &[(&str, fn() -> Config)] = &[
    ("siglip-tiny", Config::tiny),
    ("siglip-b16-224", || Config { vocab: 32_000, ..Config::base(224) }),
    ("siglip2-b16-224", || Config::base(224)),
    ("siglip2-b16-256", || Config::base(256)),
    ("siglip2-b16-384", || Config::base(384)),
    ("siglip2-b16-512", || Config::base(512)),
    ("siglip2-l16-256", || Config::large(256)),
    ("siglip2-l16-384", || Config::large(384)),
    ("siglip2-l16-512", || Config::large(512)),
];

impl Config {
    /// A preset by name.
    pub fn preset(name: &str) -> Option<Self> {
        PRESETS.iter().find(|(n, _)| *n == name).map(|(_, make)| make())
    }

    /// Small enough for unit tests.
    pub fn tiny() -> Self {
        let tower = Tower { width: 16, layers: 2, heads: 2, mlp: 32 };
        Self { image: 28, patch: 14, vision: tower, text: tower, vocab: 100, context: 8, ..Self::base(224) }
    }

    /// ViT-B/16 of SigLIP 2.
    pub fn base(image: usize) -> Self {
        let tower = Tower { width: 768, layers: 12, heads: 12, mlp: 3072 };
        Self {
            image,
            patch: 16,
            vision: tower,
            text: tower,
            vocab: 256_000,
            context: 64,
            activation: Activation::GeluTanh,
            eps: 1e-6,
        }
    }

    /// ViT-L/16 of SigLIP 2.
    pub fn large(image: usize) -> Self {
        let tower = Tower { width: 1024, layers: 24, heads: 16, mlp: 4096 };
        Self { vision: tower, text: tower, ..Self::base(image) }
    }

    /// Whether the sizes fit together; the message says which do not.
    pub fn check(&self) -> Result<(), String> {
        // The same rules as CLIP's, whose space has a width of its own.
        crate::clip::Config {
            image: self.image,
            patch: self.patch,
            vision: self.vision,
            text: self.text,
            vocab: self.vocab,
            context: self.context,
            embed: self.vision.width,
            activation: self.activation,
            eps: self.eps,
            end: crate::clip::End::Highest,
        }
        .check()
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
        assert!(Config { image: 225, ..Config::base(224) }.check().is_err());
    }
}
