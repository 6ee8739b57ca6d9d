//! The models that likebut knows by name: where each lies, what it is good for, and on what terms.
//!
//! What stands here was read from public pages; what could not be read is absent, not guessed.
//! No commit and no digest is pinned: the hub announces both when it is asked, what comes is held
//! against the announcement, and the record of a pull keeps it.

/// How a published model is laid out, which decides what of its repository is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// BLIP-2 with its text branch, as Hugging Face's `Blip2ForImageTextRetrieval`.
    Blip2,
    /// CLIP, under Hugging Face's names where there are both.
    Clip,
    /// CLIP, under OpenCLIP's names; what else lies beside them may be a part of it only.
    OpenClip,
    /// SigLIP.
    Siglip,
    /// Something else that holds safetensors.
    Other,
}

impl Family {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blip2 => "BLIP-2",
            Self::Clip => "CLIP",
            Self::OpenClip => "CLIP",
            Self::Siglip => "SigLIP 2",
            Self::Other => "unknown",
        }
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// What it is called here.
    pub name: &'static str,
    /// Its repository.
    pub repo: &'static str,
    /// The branch that is followed unless another revision is asked for.
    pub revision: &'static str,
    /// Its layout.
    pub family: Family,
    /// The licence that its page states; the hub is asked again before anything is fetched.
    pub licence: Option<&'static str>,
    /// Where that licence stands, or what else there is to know about the terms.
    pub terms: &'static str,
    /// What it wants to see, as published with it.
    pub view: &'static str,
    /// Numbers it holds, in millions, from its architecture.
    pub millions: u32,
    /// Size of the weights file in bytes as its page rounds it, where a page says so.
    pub bytes: Option<u64>,
    /// What it is good for, in a sentence.
    pub about: &'static str,
}

impl Known {
    /// How large the weights are: as published, or at most, if each number takes four bytes.
    pub fn size(&self) -> (u64, bool) {
        match self.bytes {
            Some(bytes) => (bytes, true),
            None => (u64::from(self.millions) * 4_000_000, false),
        }
    }

    /// The page that a person can read.
    pub fn page(&self) -> String {
        format!("{}/{}", crate::place::ENDPOINT, self.repo)
    }
}

const OPENAI: &str = "its page states Apache-2.0; OpenAI published the weights with its MIT-licensed code";
const PAGE: &str = "as its page states";
const CENTRE_224: &str = "centre-crop 224 bicubic clip";

/// All of them, the recommended one first.
pub const KNOWN: &[Known] = &[
    Known {
        name: "bge-vl-base",
        repo: "BAAI/BGE-VL-base",
        revision: "main",
        family: Family::Clip,
        licence: Some("mit"),
        terms: PAGE,
        view: CENTRE_224,
        millions: 150,
        bytes: Some(299_000_000),
        about: "recommended for photographs: small, and trained for \"like this, but …\"",
    },
    Known {
        name: "bge-vl-large",
        repo: "BAAI/BGE-VL-large",
        revision: "main",
        family: Family::Clip,
        licence: Some("mit"),
        terms: PAGE,
        view: CENTRE_224,
        millions: 428,
        bytes: Some(855_000_000),
        about: "the same at CLIP L/14: better and several times slower",
    },
    Known {
        name: "blip2-itm-vit-g",
        repo: "Salesforce/blip2-itm-vit-g",
        revision: "main",
        family: Family::Blip2,
        licence: Some("mit"),
        terms: PAGE,
        view: "squash 224 bicubic clip",
        millions: 1173,
        bytes: Some(4_690_000_000),
        about: "what IMAGINE and CoVR-2 start from; slow without a GPU",
    },
    Known {
        name: "blip2-itm-vit-g-coco",
        repo: "Salesforce/blip2-itm-vit-g-coco",
        revision: "main",
        family: Family::Blip2,
        licence: Some("mit"),
        terms: PAGE,
        view: "squash 364 bicubic clip",
        millions: 1173,
        bytes: Some(4_690_000_000),
        about: "the same, tuned on COCO's captions at 364 pixels; slower still",
    },
    Known {
        name: "clip-b32",
        repo: "timm/vit_base_patch32_clip_224.openai",
        revision: "main",
        family: Family::OpenClip,
        licence: Some("apache-2.0"),
        terms: OPENAI,
        view: CENTRE_224,
        millions: 151,
        bytes: Some(605_000_000),
        about: "OpenAI's CLIP B/32: the fastest here",
    },
    Known {
        name: "clip-b16",
        repo: "timm/vit_base_patch16_clip_224.openai",
        revision: "main",
        family: Family::OpenClip,
        licence: Some("apache-2.0"),
        terms: OPENAI,
        view: CENTRE_224,
        millions: 150,
        bytes: None,
        about: "OpenAI's CLIP B/16",
    },
    Known {
        name: "clip-l14",
        repo: "timm/vit_large_patch14_clip_224.openai",
        revision: "main",
        family: Family::OpenClip,
        licence: Some("apache-2.0"),
        terms: OPENAI,
        view: CENTRE_224,
        millions: 428,
        bytes: None,
        about: "OpenAI's CLIP L/14: what most zero-shot methods are published on",
    },
    Known {
        name: "clip-l14-336",
        repo: "timm/vit_large_patch14_clip_336.openai",
        revision: "main",
        family: Family::OpenClip,
        licence: Some("apache-2.0"),
        terms: OPENAI,
        view: "centre-crop 336 bicubic clip",
        millions: 428,
        bytes: None,
        about: "OpenAI's CLIP L/14 at 336 pixels",
    },
    Known {
        name: "openclip-b32",
        repo: "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        revision: "main",
        family: Family::Clip,
        licence: Some("mit"),
        terms: PAGE,
        view: CENTRE_224,
        millions: 151,
        bytes: None,
        about: "OpenCLIP B/32, trained on LAION-2B",
    },
    Known {
        name: "openclip-l14",
        repo: "laion/CLIP-ViT-L-14-laion2B-s32B-b82K",
        revision: "main",
        family: Family::Clip,
        licence: Some("mit"),
        terms: PAGE,
        view: "centre-crop 224 bicubic, mean and deviation 0.5",
        millions: 428,
        bytes: None,
        about: "OpenCLIP L/14, trained on LAION-2B; note its own mean and deviation",
    },
    Known {
        name: "openclip-h14",
        repo: "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
        revision: "main",
        family: Family::Clip,
        licence: Some("mit"),
        terms: PAGE,
        view: CENTRE_224,
        millions: 986,
        bytes: None,
        about: "OpenCLIP H/14",
    },
    Known {
        name: "openclip-g14",
        repo: "laion/CLIP-ViT-g-14-laion2B-s34B-b88K",
        revision: "main",
        family: Family::Clip,
        licence: Some("mit"),
        terms: PAGE,
        view: CENTRE_224,
        millions: 1367,
        bytes: None,
        about: "OpenCLIP g/14: what IP-CIR is published on",
    },
    Known {
        name: "openclip-bigg14",
        repo: "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k",
        revision: "main",
        family: Family::Clip,
        licence: Some("mit"),
        terms: PAGE,
        view: CENTRE_224,
        millions: 2540,
        bytes: None,
        about: "OpenCLIP bigG/14: the strongest of them, for a GPU",
    },
    Known {
        name: "siglip2-base",
        repo: "google/siglip2-base-patch16-224",
        revision: "main",
        family: Family::Siglip,
        licence: Some("apache-2.0"),
        terms: PAGE,
        view: "squash 224 bilinear, mean and deviation 0.5",
        millions: 375,
        bytes: None,
        about: "SigLIP 2 base: many languages",
    },
    Known {
        name: "siglip2-large",
        repo: "google/siglip2-large-patch16-256",
        revision: "main",
        family: Family::Siglip,
        licence: Some("apache-2.0"),
        terms: PAGE,
        view: "squash 256 bilinear, mean and deviation 0.5",
        millions: 882,
        bytes: None,
        about: "SigLIP 2 large: many languages",
    },
];

/// The line with this name, or with this repository.
pub fn known(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|k| k.name == name || k.repo == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_line_can_be_pulled_and_no_name_is_taken_twice() {
        let names: BTreeSet<&str> = KNOWN.iter().map(|k| k.name).collect();
        let repos: BTreeSet<&str> = KNOWN.iter().map(|k| k.repo).collect();
        assert_eq!((names.len(), repos.len()), (KNOWN.len(), KNOWN.len()));
        for k in KNOWN {
            assert!(crate::name::check_model(k.name).is_ok(), "{}", k.name);
            assert!(crate::name::Repo::parse(k.repo).is_ok(), "{}", k.repo);
            assert!(crate::name::check_revision(k.revision).is_ok(), "{}", k.name);
            assert!(!k.about.ends_with('.') && k.millions > 100, "{}", k.name);
            let (size, stated) = k.size();
            // A weights file holds two or four bytes per number.
            assert!(!stated || (1.9..4.1).contains(&(size as f64 / f64::from(k.millions) / 1e6)), "{}", k.name);
        }
        assert_eq!(known("BAAI/BGE-VL-base").unwrap().name, "bge-vl-base");
        assert!(known("bge").is_none());
    }
}
