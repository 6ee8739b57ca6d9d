//! The sizes of a CLIP backbone, and the named presets.

use crate::layers::Activation;

/// Everything that decides the shape of a CLIP backbone.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Side of the square picture, pixels; a multiple of `patch`.
    pub image: usize,
    /// Side of a patch, pixels.
    pub patch: usize,
    /// The tower that reads pictures.
    pub vision: Tower,
    /// The tower that reads words.
    pub text: Tower,
    /// Pieces the tokenizer knows.
    pub vocab: usize,
    /// Longest text, in tokens.
    pub context: usize,
    /// Dimension of the shared space.
    pub embed: usize,
    /// QuickGELU in OpenAI's weights and in what was trained from them, GELU in OpenCLIP's.
    pub activation: Activation,
    /// Added to the variance in every layer norm.
    pub eps: f64,
    /// Which token stands for the whole text.
    pub end: End,
}

/// One of the two transformers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tower {
    /// Width.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Heads; divide the width.
    pub heads: usize,
    /// Hidden width of the feed-forward networks.
    pub mlp: usize,
}

/// How the end of a text is found, always by position and on the ids as they were typed: a
/// pseudo-word that is put in later cannot move it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The highest id, the first of them: OpenAI's rule, and OpenCLIP's.
    Highest,
    /// The first token with this id: transformers' rule, except for configurations that say 2.
    Id(u32),
}

/// The named sizes. `-quickgelu` marks those of OpenAI's activation.
pub const PRESETS: &[(&str, fn() -> Config)] = &[
    ("clip-tiny", Config::tiny),
    ("clip-b32-quickgelu", || Config::base(32).quick()),
    ("clip-b16-quickgelu", || Config::base(16).quick()),
    ("clip-l14-quickgelu", || Config::large(224).quick()),
    ("clip-l14-336-quickgelu", || Config::large(336).quick()),
    ("clip-b32", || Config::base(32)),
    ("clip-b16", || Config::base(16)),
    ("clip-l14", || Config::large(224)),
    ("clip-h14", Config::huge),
    ("clip-g14", Config::giant),
    ("clip-bigg14", Config::gigantic),
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
            vision: Tower { width: 32, layers: 3, heads: 2, mlp: 64 },
            text: Tower { width: 16, layers: 3, heads: 2, mlp: 32 },
            vocab: 600,
            context: 20,
            embed: 8,
            activation: Activation::QuickGelu,
            eps: 1e-5,
            end: End::Highest,
        }
    }

    /// ViT-B/32 or B/16.
    pub fn base(patch: usize) -> Self {
        Self {
            image: 224,
            patch,
            vision: Tower { width: 768, layers: 12, heads: 12, mlp: 3072 },
            text: Tower { width: 512, layers: 12, heads: 8, mlp: 2048 },
            vocab: 49_408,
            context: 77,
            embed: 512,
            activation: Activation::Gelu,
            eps: 1e-5,
            end: End::Highest,
        }
    }

    /// ViT-L/14, at 224 or 336 pixels.
    pub fn large(image: usize) -> Self {
        Self {
            image,
            patch: 14,
            vision: Tower { width: 1024, layers: 24, heads: 16, mlp: 4096 },
            text: Tower { width: 768, layers: 12, heads: 12, mlp: 3072 },
            embed: 768,
            ..Self::base(14)
        }
    }

    /// OpenCLIP's ViT-H/14.
    pub fn huge() -> Self {
        Self {
            vision: Tower { width: 1280, layers: 32, heads: 16, mlp: 5120 },
            text: Tower { width: 1024, layers: 24, heads: 16, mlp: 4096 },
            embed: 1024,
            ..Self::large(224)
        }
    }

    /// OpenCLIP's ViT-g/14.
    pub fn giant() -> Self {
        Self { vision: Tower { width: 1408, layers: 40, heads: 16, mlp: 6144 }, ..Self::huge() }
    }

    /// OpenCLIP's ViT-bigG/14.
    pub fn gigantic() -> Self {
        Self {
            vision: Tower { width: 1664, layers: 48, heads: 16, mlp: 8192 },
            text: Tower { width: 1280, layers: 32, heads: 20, mlp: 5120 },
            embed: 1280,
            ..Self::huge()
        }
    }

    /// The same with OpenAI's activation.
    pub fn quick(self) -> Self {
        Self { activation: Activation::QuickGelu, ..self }
    }

    /// Tokens of one picture: patches and the class token.
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
        divides("vision width and heads", self.vision.width, self.vision.heads)?;
        divides("text width and heads", self.text.width, self.text.heads)?;
        let tower = |t: &Tower| [t.width, t.layers, t.mlp];
        let sizes: Vec<usize> = [tower(&self.vision), tower(&self.text)]
            .concat()
            .into_iter()
            .chain([self.vocab, self.context, self.embed])
            .collect();
        if sizes.contains(&0) || !(self.eps > 0.0 && self.eps < 1.0) {
            return Err("every size must be at least 1, and eps between 0 and 1".into());
        }
        // The largest published model is far below these; a hostile file must not make us allocate.
        if self.image > 4096 || sizes.iter().any(|s| *s > 1 << 20) {
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
        assert!(Config { image: 225, ..Config::base(32) }.check().is_err());
        assert!(Config { eps: f64::NAN, ..Config::base(32) }.check().is_err());
    }
}
