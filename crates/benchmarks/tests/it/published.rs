//! The published annotation files, where this machine has them: counts, splits and galleries.

use std::path::PathBuf;

use benchmarks::sets::{SETS, presence, set};
use benchmarks::{GalleryRule, Protocol, preset};
use domain::Split;

/// The folder of published annotations, or a word that it is not here.
fn annotations() -> Option<PathBuf> {
    let found = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/annotations");
    if !found.is_dir() {
        eprintln!("skipped: {} is not here", found.display());
        return None;
    }
    Some(found)
}

fn counts(name: &str, split: Split, protocol: &Protocol) -> Option<Vec<(usize, usize)>> {
    let root = annotations()?.join(name);
    let opened = set(name).unwrap().open(&root, split, protocol).unwrap();
    Some(opened.exams.iter().map(|e| (e.queries.len(), e.gallery.len())).collect())
}

#[test]
fn fashioniq_has_two_galleries() {
    let fashioniq = set("fashioniq").unwrap();
    let Some(listed) = counts("fashioniq", Split::Val, &fashioniq.usual()) else { return };
    assert_eq!(listed, [(2017, 3817), (2038, 6346), (1961, 5373)]);
    let named = preset("hud-fashioniq").unwrap().protocol();
    assert_eq!(named.gallery, GalleryRule::Named);
    assert_eq!(counts("fashioniq", Split::Val, &named).unwrap(), [(2017, 2628), (2038, 3089), (1961, 2902)]);
    let train = counts("fashioniq", Split::Train, &fashioniq.usual()).unwrap();
    assert_eq!(train.iter().map(|c| c.0).sum::<usize>(), 18_000);
    let opened = fashioniq.open(&annotations().unwrap().join("fashioniq"), Split::Test, &fashioniq.usual()).unwrap();
    assert!(opened.exams.iter().all(|e| e.hidden), "the test targets were never published");
    assert!(opened.notes.iter().any(|n| n.contains("empty caption")), "{:?}", opened.notes);
}

#[test]
fn the_wording_is_the_protocols() {
    let Some(root) = annotations() else { return };
    let first = |protocol: &str| {
        let protocol = preset(protocol).unwrap().protocol();
        let opened = set("fashioniq").unwrap().open(&root.join("fashioniq"), Split::Val, &protocol).unwrap();
        let q = &opened.exams[0].queries[0];
        (q.text.clone(), q.wordings.clone())
    };
    assert_eq!(first("covr-fashioniq").0, "is shiny and silver with shorter sleeves and fit and flare");
    assert_eq!(first("clip4cir-fashioniq").0, "Is shiny and silver with shorter sleeves and fit and flare");
    assert_eq!(first("searle-fashioniq").1, ["fit and flare and is shiny and silver with shorter sleeves"]);
}

#[test]
fn cirr_is_what_the_split_file_lists() {
    let cirr = set("cirr").unwrap();
    let Some(val) = counts("cirr", Split::Val, &cirr.usual()) else { return };
    assert_eq!(val, [(4181, 2297)]);
    assert_eq!(counts("cirr", Split::Test, &cirr.usual()).unwrap(), [(4148, 2315)]);
    let root = annotations().unwrap().join("cirr");
    let opened = cirr.open(&root, Split::Val, &cirr.usual()).unwrap();
    let q = &opened.exams[0].queries[0];
    assert_eq!((q.id.as_str(), q.reference.as_str()), ("12060", "dev-244-0-img0"));
    assert_eq!((q.targets.len(), q.subset.as_ref().unwrap().len(), q.grades.len()), (1, 6, 1));
    assert_eq!(opened.exams[0].gallery[0].path, "img_raw/dev/dev-244-0-img0.png");
    // Without train captions, the file is named.
    let text = cirr.open(&root, Split::Train, &cirr.usual()).unwrap_err().to_string();
    assert!(text.contains("cap.rc2.train.json is missing"), "{text}");
    // Marked by soft targets, a question may have several right answers.
    let soft = preset("covr-cirr").unwrap().protocol();
    let opened = cirr.open(&root, Split::Val, &soft).unwrap();
    assert!(opened.exams[0].queries.iter().filter(|q| q.targets.len() > 1).count() > 20);
}

#[test]
fn circo_over_all_of_coco() {
    let Some(root) = annotations() else { return };
    let circo = set("circo").unwrap();
    // COCO's own list is not among the annotations; that is said, not passed over.
    let text = circo.open(&root.join("circo"), Split::Val, &circo.usual()).unwrap_err().to_string();
    assert!(text.contains("image_info_unlabeled2017.json"), "{text}");
    // A list of as many pictures, those that the questions name among them.
    let dir = tempfile::tempdir().unwrap();
    let mut named = std::collections::BTreeSet::new();
    for part in ["val", "test"] {
        let text = std::fs::read_to_string(root.join(format!("circo/annotations/{part}.json"))).unwrap();
        let all: serde_json::Value = serde_json::from_str(&text).unwrap();
        for q in all.as_array().unwrap() {
            let ids = q["gt_img_ids"].as_array().into_iter().flatten().chain([&q["reference_img_id"]]);
            named.extend(ids.filter_map(serde_json::Value::as_u64));
        }
    }
    named.extend((600_000..).take(123_403 - named.len()));
    let images: Vec<_> =
        named.iter().map(|id| serde_json::json!({"id": id, "file_name": format!("{id:012}.jpg")})).collect();
    let coco = dir.path().join("COCO2017_unlabeled/annotations");
    std::fs::create_dir_all(&coco).unwrap();
    let list = serde_json::json!({"images": images}).to_string();
    std::fs::write(coco.join("image_info_unlabeled2017.json"), list).unwrap();
    std::fs::create_dir(dir.path().join("annotations")).unwrap();
    for part in ["val", "test"] {
        let from = root.join(format!("circo/annotations/{part}.json"));
        std::fs::copy(from, dir.path().join(format!("annotations/{part}.json"))).unwrap();
    }
    let val = circo.open(dir.path(), Split::Val, &circo.usual()).unwrap();
    assert_eq!((val.exams[0].queries.len(), val.exams[0].gallery.len()), (220, 123_403));
    let q = &val.exams[0].queries[0];
    assert_eq!(q.targets, ["355099", "528417", "534704"]);
    assert_eq!(q.aspects.len(), 4);
    let test = circo.open(dir.path(), Split::Test, &circo.usual()).unwrap();
    assert_eq!((test.exams[0].queries.len(), test.exams[0].hidden), (800, true));
    assert_eq!(presence::look(&test.exams[0]).missing.len(), 123_403);
}

#[test]
fn shoes_by_which_list_holds_the_target() {
    let shoes = set("shoes").unwrap();
    let Some(test) = counts("shoes", Split::Test, &shoes.usual()) else { return };
    assert_eq!(test, [(1761, 4658)]);
    assert_eq!(counts("shoes", Split::Train, &shoes.usual()).unwrap(), [(8990, 10_000)]);
}

#[test]
fn published_counts_are_those_of_the_files() {
    let Some(root) = annotations() else { return };
    for set in SETS {
        for (split, part, questions, gallery) in set.counts {
            let Ok(opened) = set.open(&root.join(set.name), *split, &set.usual()) else { continue };
            let exam = opened.exams.iter().find(|e| part.is_empty() || e.name.contains(part)).unwrap();
            assert_eq!((exam.queries.len(), exam.gallery.len()), (*questions, *gallery), "{} {part}", set.name);
        }
    }
}
