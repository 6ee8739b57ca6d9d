//! What each paper and code base does, by name: one list.

use domain::Sampling;

use super::{Average, CaptionRule, Frames, GalleryRule, Pooling, Protocol, RightRule};
use crate::Mark;

/// A protocol that has a name, with where we know it from.
pub struct Preset {
    /// What `--protocol` calls it: the code base, then the set.
    pub name: &'static str,
    /// The set that it is for; `""` for any.
    pub set: &'static str,
    /// Who uses it, in a sentence.
    pub about: &'static str,
    /// Where it is written down.
    pub source: &'static str,
    /// What of it is inferred and not stated; `""` if nothing is.
    pub inferred: &'static str,
    rules: fn() -> Protocol,
}

impl Preset {
    /// The rules, under this name.
    pub fn protocol(&self) -> Protocol {
        Protocol { name: self.name.to_owned(), ..(self.rules)() }
    }
}

/// The protocol of that name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PROTOCOLS.iter().find(|p| p.name == name)
}

/// All of them. Adding one is one entry.
///
/// Where code leaves the order of equal scores to an unstable sort, ours go against the method:
/// it is the only rule that never flatters.
pub const PROTOCOLS: &[Preset] = &[
    Preset {
        name: "likebut",
        set: "",
        about: "ours, for scenes and for your own questions",
        source: "docs/marking.md",
        inferred: "",
        rules: Protocol::default,
    },
    // WebVid-CoVR.
    Preset {
        name: "covr-webvid",
        set: "webvid-covr",
        about: "CoVR, CoVR-2 and CoVR-Enrich: one frame asked, fifteen in the gallery",
        source: "github.com/lucas-ventura/CoVR f335ebc, src/test/blip2/webvid_covr.py and src/data/webvid_covr.py",
        inferred: "",
        rules: || Protocol {
            gallery_frames: Frames::Sampled(Sampling::Uniform(15)),
            pooling: Pooling::Mean,
            ..webvid()
        },
    },
    Preset {
        name: "hud-webvid",
        set: "webvid-covr",
        about: "HUD, and by inference IMAGINE: the middle frame on both sides",
        source: "github.com/iLearn-Lab/MM25-HUD 80e2a64, src/model/blip2/HUD.py and its configuration",
        inferred: "that IMAGINE is marked by its sibling's rules",
        rules: webvid,
    },
    Preset {
        name: "retrack-webvid",
        set: "webvid-covr",
        about: "ReTrack: as HUD, but the reference is never masked",
        source: "github.com/Lee-zixu/ReTrack c494cd9, src/test/blip2/webvid_covr.py",
        inferred: "",
        rules: || Protocol { drop_reference: false, ..webvid() },
    },
    // FashionIQ.
    Preset {
        name: "covr-fashioniq",
        set: "fashioniq",
        about: "CoVR and CoVR-2: the original gallery, reference masked",
        source: "github.com/lucas-ventura/CoVR f335ebc, src/test/blip2 and src/data",
        inferred: "",
        rules: || Protocol {
            captions: CaptionRule::And,
            pooling: Pooling::Mean,
            ks: vec![1, 5, 10, 50],
            ..fashioniq()
        },
    },
    Preset {
        name: "hud-fashioniq",
        set: "fashioniq",
        about: "HUD, ReTrack, ENCODER, OFFSET and by inference IMAGINE: the smaller VAL gallery, reference masked",
        source: "github.com/iLearn-Lab/MM25-HUD 80e2a64, src/data/fashioniq.py line 129 (val-split)",
        inferred: "that IMAGINE is marked by its sibling's rules",
        rules: || Protocol { gallery: GalleryRule::Named, captions: CaptionRule::AndCorrected, ..fashioniq() },
    },
    Preset {
        name: "melt-fashioniq",
        set: "fashioniq",
        about: "MELT: as HUD, the best of the target's tokens",
        source: "github.com/iLearn-Lab/ICASSP26-MELT ab06ff7, datasets.py lines 155 to 167",
        inferred: "that the reference is masked as in its siblings",
        rules: || Protocol {
            gallery: GalleryRule::Named,
            captions: CaptionRule::AndCorrected,
            pooling: Pooling::Max,
            ..fashioniq()
        },
    },
    Preset {
        name: "clip4cir-fashioniq",
        set: "fashioniq",
        about: "CLIP4Cir: the original gallery, the reference stays in",
        source: "the public CLIP4Cir evaluation, as read in SPRC 2935a53",
        inferred: "",
        rules: || Protocol { captions: CaptionRule::AndCapitalised, drop_reference: false, ..fashioniq() },
    },
    Preset {
        name: "sprc-fashioniq",
        set: "fashioniq",
        about: "SPRC: as CLIP4Cir, the best of the target's tokens",
        source: "github.com/chunmeifeng/SPRC 2935a53",
        inferred: "",
        rules: || Protocol {
            captions: CaptionRule::AndCapitalised,
            drop_reference: false,
            pooling: Pooling::Max,
            ..fashioniq()
        },
    },
    Preset {
        name: "searle-fashioniq",
        set: "fashioniq",
        about: "SEARLE, LinCIR, CIG: the original gallery, the reference stays in, both orders averaged",
        source: "github.com/miccunifi/SEARLE, src/validate.py",
        inferred: "",
        rules: || Protocol { captions: CaptionRule::BothOrders, drop_reference: false, ..fashioniq() },
    },
    // CIRR.
    Preset {
        name: "cirr",
        set: "cirr",
        about: "the official rules, as the server, CLIP4Cir and HUD apply them",
        source: "github.com/Cuberick-Orion/CIRR 000e433 and cirr.cecs.anu.edu.au",
        inferred: "",
        rules: cirr,
    },
    Preset {
        name: "sprc-cirr",
        set: "cirr",
        about: "SPRC: the official rules, the best of the target's tokens",
        source: "github.com/chunmeifeng/SPRC 2935a53",
        inferred: "",
        rules: || Protocol { pooling: Pooling::Max, ..cirr() },
    },
    Preset {
        name: "covr-cirr",
        set: "cirr",
        about: "CoVR's own validation: every picture of the folder is an answer, look-alikes by soft targets",
        source: "github.com/lucas-ventura/CoVR f335ebc, src/test/blip2/cirr_val.py; issues 15, 18 and 32",
        inferred: "",
        rules: || Protocol {
            gallery: GalleryRule::Folder,
            subset_right: RightRule::Any,
            captions: CaptionRule::And,
            pooling: Pooling::Max,
            ..cirr()
        },
    },
    // CIRCO.
    Preset {
        name: "circo",
        set: "circo",
        about: "the official rules: the reference is not filtered, recall counts the one first target",
        source: "github.com/miccunifi/CIRCO 267b5c9, src/evaluation.py",
        inferred: "",
        rules: circo,
    },
    Preset {
        name: "covr-circo",
        set: "circo",
        about: "CoVR: the reference is masked",
        source: "github.com/lucas-ventura/CoVR f335ebc, src/test/blip2",
        inferred: "",
        rules: || Protocol { drop_reference: true, captions: CaptionRule::And, pooling: Pooling::Mean, ..circo() },
    },
    // Others.
    Preset {
        name: "genecis",
        set: "genecis",
        about: "the authors' own: fifteen candidates or ten, listed by each question",
        source: "github.com/facebookresearch/genecis",
        inferred: "that equal scores go against the method: the authors' order puts the right answer first",
        rules: || Protocol { gallery: GalleryRule::Own, drop_reference: false, ks: vec![1, 2, 3], ..plain() },
    },
    Preset {
        name: "shoes",
        set: "shoes",
        about: "the literature: all 4,658 evaluation pictures",
        source: "github.com/XiaoxiaoGuo/fashion-retrieval, eval_im_names.txt",
        inferred: "that the reference is masked, as HUD and its siblings do",
        rules: || Protocol {
            captions: CaptionRule::AndCorrected,
            ks: vec![1, 10, 50],
            averages: vec![average("Avg (3)", &[Mark::Recall(1), Mark::Recall(10), Mark::Recall(50)])],
            ..plain()
        },
    },
    Preset {
        name: "egocvr-global",
        set: "egocvr",
        about: "the authors' own: about eleven thousand clips, listed by each question",
        source: "github.com/ExplainableML/EgoCVR, egocvr_retrieval.py",
        inferred: "",
        rules: || Protocol { ks: vec![1, 5, 10], ..egocvr() },
    },
    Preset {
        name: "egocvr-local",
        set: "egocvr",
        about: "the authors' own: the few clips of the same video",
        source: "github.com/ExplainableML/EgoCVR, egocvr_retrieval.py",
        inferred: "",
        rules: || Protocol { ks: vec![1, 2, 3], ..egocvr() },
    },
    Preset {
        name: "tf-covr",
        set: "tf-covr",
        about: "TF-CoVR: several right answers, mean average precision",
        source: "github.com/UCF-CRCV/TF-CoVR ae0b4aa",
        inferred: "that the reference is left out",
        rules: || Protocol { map_ks: vec![5, 10, 25, 50], ..plain() },
    },
];

/// Recall alone.
fn plain() -> Protocol {
    Protocol { map_ks: Vec::new(), subset: false, subset_ks: Vec::new(), ..Protocol::default() }
}

/// One frame on each side, the reference masked, the four recalls and their mean.
fn webvid() -> Protocol {
    let four = [1, 5, 10, 50].map(Mark::Recall);
    Protocol {
        gallery: GalleryRule::Targets,
        captions: CaptionRule::And,
        query_frames: Frames::Sampled(Sampling::Middle),
        gallery_frames: Frames::Sampled(Sampling::Middle),
        averages: vec![average("Avg (4)", &four), average("Avg (3)", &four[..3])],
        ..plain()
    }
}

/// R@10 and R@50 of one category; the mean over categories is taken over reports.
fn fashioniq() -> Protocol {
    Protocol { ks: vec![10, 50], averages: vec![average("Mean", &[Mark::Recall(10), Mark::Recall(50)])], ..plain() }
}

fn cirr() -> Protocol {
    let seven: Vec<Mark> =
        [1, 5, 10, 50].map(Mark::Recall).into_iter().chain([1, 2, 3].map(Mark::SubsetRecall)).collect();
    Protocol {
        right: RightRule::First,
        subset_right: RightRule::First,
        map_ks: Vec::new(),
        averages: vec![
            average("Avg (7)", &seven),
            average("Avg (R@5, R_subset@1)", &[Mark::Recall(5), Mark::SubsetRecall(1)]),
        ],
        ..Protocol::default()
    }
}

fn circo() -> Protocol {
    Protocol {
        drop_reference: false,
        right: RightRule::First,
        ks: vec![5, 10, 25, 50],
        map_ks: vec![5, 10, 25, 50],
        ..plain()
    }
}

fn egocvr() -> Protocol {
    Protocol {
        gallery: GalleryRule::Own,
        drop_reference: false,
        query_frames: Frames::Sampled(Sampling::Uniform(15)),
        gallery_frames: Frames::Sampled(Sampling::Uniform(15)),
        pooling: Pooling::Mean,
        ..plain()
    }
}

fn average(name: &str, of: &[Mark]) -> Average {
    Average { name: name.to_owned(), of: of.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_preset_is_sound_has_its_source_and_differs_from_all_others() {
        let (mut names, mut digests) = (HashSet::new(), HashSet::new());
        for p in PROTOCOLS {
            let rules = p.protocol();
            assert_eq!(rules.fault(), None, "{}", p.name);
            assert!(names.insert(p.name) && !p.source.is_empty() && !p.about.is_empty(), "{}", p.name);
            // SPRC and HUD write differing tokens, but nobody else may share rules under two names.
            assert!(digests.insert(rules.digest()), "{} has the rules of another", p.name);
            let json = serde_json::to_string(&rules).unwrap();
            assert_eq!(serde_json::from_str::<Protocol>(&json).unwrap(), rules, "{json}");
        }
        assert_eq!(preset("likebut").map(Preset::protocol), Some(Protocol::default()));
    }

    #[test]
    fn what_differs_between_code_bases_is_what_the_literature_says() {
        let rules = |name| preset(name).expect("a known name").protocol();
        // FashionIQ: two galleries, four ways with the captions, the reference in or out.
        assert_eq!(rules("covr-fashioniq").gallery, GalleryRule::Listed);
        assert_eq!(rules("hud-fashioniq").gallery, GalleryRule::Named);
        assert!(rules("hud-fashioniq").drop_reference && !rules("searle-fashioniq").drop_reference);
        // CIRR leaves the reference out, CIRCO does not, in the same code base.
        assert!(rules("cirr").drop_reference && !rules("circo").drop_reference);
        assert!(rules("hud-webvid").drop_reference && !rules("retrack-webvid").drop_reference);
    }
}
