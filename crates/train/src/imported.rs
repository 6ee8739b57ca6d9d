//! IMAGINE's head on features of any family: vectors that were made elsewhere (CLIP's, BLIP-2's, anybody's)
//! are read by name, the head learns on them, and the questions that it composes are written as
//! vectors again, which `likebut eval --embeddings ITEMS --queries QUERIES` marks.
//!
//! ```toml
//! name = "shop-adapter"
//! about = "IMAGINE's head on CLIP's features of a shop"
//! seed = 1
//!
//! [features]
//! set = "shop"                # gallery.train.jsonl, triplets.train.jsonl; the same of val, and of test
//! items = "items.npy"         # by the gallery's names
//! words = "words.npy"         # by the questions' ids
//!
//! [compose]
//! learns = "head"
//! # …
//! ```
//!
//! Families that compose nothing themselves have no concrete feature; here it is half reference, half
//! words ([`Fixed::sums`]), and the head learns what to make of it.

use crate::adapt::{Adapt, Fixed};
use crate::checkpoint::replace;
use crate::compose::{Learns, Rows, Settings};
use crate::follow::machine;
use crate::questions::Asked;
use crate::recipe::{RecipeError, parsed, text};
use crate::run::{Ended, Pauses, Progress, TrainError, train};
use benchmarks::{Benchmark, Protocol, sets::triplets};
use domain::{Digest, Split};
use methods::imagine::{Config, Imagine};
use nets::weights::Tensors;
use search::Vectors;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A recipe whose features are files.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imported {
    /// The name of the head that comes out.
    pub name: String,
    /// What it is, in a sentence.
    pub about: String,
    /// Seed of weights, batches and order.
    pub seed: u64,
    /// Where the features lie.
    pub features: Files,
    /// Settings of IMAGINE's head.
    #[serde(default)]
    pub head: Config,
    /// How it learns.
    pub compose: Settings,
}

/// Files of features; paths start from the recipe's folder.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Galleries and questions, split by split.
    pub set: PathBuf,
    /// Vectors of the items, by name.
    pub items: PathBuf,
    /// Vectors of the questions' words, by id.
    pub words: PathBuf,
}

/// One split as the head sees it.
pub struct Part {
    /// Vectors of items and words, and the concrete feature.
    pub features: Fixed,
    /// Questions by family: those that hang together by references and answers.
    pub questions: Vec<Vec<Asked>>,
    /// Names of the items.
    pub names: Vec<String>,
}

impl Imported {
    /// Whether a recipe's text is of this kind.
    pub fn is(text: &str) -> bool {
        toml::from_str::<toml::Table>(text).is_ok_and(|t| t.contains_key("features"))
    }

    /// From a file; its paths then start from where it lies.
    pub fn open(path: &Path) -> Result<Self, RecipeError> {
        let mut recipe: Self = parsed(&text(path)?)?;
        recipe.head.check().map_err(RecipeError::Wrong)?;
        let s = &recipe.compose;
        if s.learns != Learns::Head {
            return Err(RecipeError::Wrong(
                "features never change, so the head alone can learn: learns = \"head\"".into(),
            ));
        }
        s.check().map_err(RecipeError::Wrong)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let Files { set, items, words } = &mut recipe.features;
        [set, items, words].into_iter().for_each(|p| *p = folder.join(&p));
        Ok(recipe)
    }
}

/// A split of a set with its vectors: each name's from `items`, each question's words' from `words`.
///
/// # Errors
///
/// A name or an id without a vector; sides of different lengths.
pub fn part(set: &Benchmark, items: &Vectors, words: &Vectors) -> Result<Part, RecipeError> {
    let wrong = RecipeError::Wrong;
    if items.dim != words.dim || items.rows != 1 || words.rows != 1 {
        let shape = |v: &Vectors| format!("{} × {}", v.rows, v.dim);
        return Err(wrong(format!(
            "items have vectors of {}, words of {}; one space is needed, and one vector each",
            shape(items),
            shape(words)
        )));
    }
    let (of_item, of_words) = (items.by_name(), words.by_name());
    let mut values = Vec::with_capacity(set.gallery.len() * items.dim);
    let mut at = HashMap::new();
    for (i, entry) in set.gallery.iter().enumerate() {
        let vector = of_item.get(entry.name.as_str());
        values.extend_from_slice(vector.ok_or_else(|| wrong(format!("item {} has no vector", entry.name)))?);
        at.insert(entry.name.as_str(), i);
    }
    let (mut said, mut asked) = (Vec::new(), Vec::new());
    for q in &set.queries {
        let place = |name: &String| at.get(name.as_str()).copied();
        let targets: Vec<usize> = q.targets.iter().filter_map(place).collect();
        let reference = place(&q.reference);
        let (Some(reference), false) = (reference, targets.is_empty()) else {
            return Err(wrong(format!("question {} asks about items that are not in its gallery", q.id)));
        };
        said.extend_from_slice(
            of_words
                .get(q.id.as_str())
                .ok_or_else(|| wrong(format!("the words of question {} have no vector", q.id)))?,
        );
        let (id, row) = (q.id.clone(), asked.len());
        asked.push(Asked { id, row, reference, words: Vec::new(), targets, frame_scores: Vec::new() });
    }
    let features = Fixed::sums(values, said, items.dim, &asked).map_err(|e| wrong(e.to_string()))?;
    let names = set.gallery.iter().map(|g| g.name.clone()).collect();
    Ok(Part { features, questions: families(set.gallery.len(), asked), names })
}

/// Questions that share an item, directly or through others, are look-alikes of each other: a batch
/// should hold several.
pub fn families(items: usize, asked: Vec<Asked>) -> Vec<Vec<Asked>> {
    let mut parent: Vec<usize> = (0..items).collect();
    fn root(parent: &mut [usize], mut i: usize) -> usize {
        while parent[i] != i {
            parent[i] = parent[parent[i]];
            i = parent[i];
        }
        i
    }
    for a in &asked {
        for t in &a.targets {
            let (x, y) = (root(&mut parent, a.reference), root(&mut parent, *t));
            parent[x.max(y)] = x.min(y);
        }
    }
    let mut out: std::collections::BTreeMap<usize, Vec<Asked>> = std::collections::BTreeMap::new();
    for a in asked {
        out.entry(root(&mut parent, a.reference)).or_default().push(a);
    }
    out.into_values().collect()
}

/// Follows the recipe. Leaves `head.safetensors`, `run.json`, and `queries.SPLIT.jsonl` for every split
/// that the set has.
pub fn follow(
    recipe: &Imported,
    dir: &Path,
    pauses: Pauses,
    tell: &mut dyn FnMut(Progress),
    stop: &dyn Fn() -> bool,
) -> Result<Ended, TrainError> {
    let read = |path: &Path| match Vectors::read(path) {
        Ok(vectors) => Ok(vectors.normalised()),
        Err(e) => Err(RecipeError::Wrong(e.to_string())),
    };
    let (items, words) = (read(&recipe.features.items)?, read(&recipe.features.words)?);
    let open = |split: Split| -> Result<(Part, Digest), TrainError> {
        let set = triplets::read(&recipe.features.set, split, Protocol::default())?;
        Ok((part(&set, &items, &words)?, set.digest()))
    };
    let ((learn, learn_set), (val, val_set)) = (open(Split::Train)?, open(Split::Val)?);
    let s = &recipe.compose;
    s.batches(recipe.seed).check("the set", &learn.questions)?;
    let made = serde_json::json!({
        "recipe": recipe_without_paths(recipe), "items": items.digest, "words": words.digest,
        "data": {"train": learn_set, "val": val_set},
    });
    let device = nets::cpu().autodiff();
    device.seed(recipe.seed);
    let val_questions: Vec<Asked> = flat(&val);
    let task = Adapt {
        settings: s,
        features: &learn.features,
        questions: &learn.questions,
        val_features: &val.features,
        val_questions: &val_questions,
        names: &learn.names,
        seed: recipe.seed,
        device: device.clone(),
        head: recipe.head.clone(),
    };
    let plan = s.plan(nets::layers::Precision::F32, pauses, dir);
    let net = task.begin(Imagine::new(&recipe.head, items.dim, &device));
    let (net, ended) = train(&task, net, &plan, &made.to_string(), tell, stop)?;
    if ended != Ended::Done {
        return Ok(ended);
    }
    let weights = Tensors::of(&net).to_bytes(false).map_err(TrainError::Weights)?;
    let record = serde_json::json!({
        "format": 1, "program": env!("CARGO_PKG_VERSION"), "made": made, "machine": machine(),
        "weights": Digest::of(&weights),
    });
    let mut files =
        vec![("head.safetensors".to_owned(), weights), ("run.json".to_owned(), format!("{record:#}\n").into())];
    let tested = recipe.features.set.join("triplets.test.jsonl").exists();
    let test = tested.then(|| open(Split::Test)).transpose()?.map(|(part, _)| part);
    for (split, part) in [(Split::Train, Some(&learn)), (Split::Val, Some(&val)), (Split::Test, test.as_ref())] {
        let Some(part) = part else { continue };
        let asked = flat(part);
        let queries = part.features.queries(&net, &recipe.head, &asked, &device);
        files.push((format!("queries.{split}.jsonl"), lines(&asked, &queries).into_bytes()));
    }
    for (name, bytes) in files {
        replace(&dir.join(name), &bytes)?;
    }
    Ok(ended)
}

/// All questions of a part, in the order of their rows.
pub fn flat(part: &Part) -> Vec<Asked> {
    let mut all: Vec<Asked> = part.questions.iter().flatten().cloned().collect();
    all.sort_by_key(|a| a.row);
    all
}

fn lines(asked: &[Asked], queries: &Rows) -> String {
    let rows = queries.values().chunks_exact(queries.dim().max(1));
    asked.iter().zip(rows).map(|(a, row)| format!("{}\n", serde_json::json!({"name": a.id, "vector": row}))).collect()
}

/// Where a run's files lie does not decide what comes out.
fn recipe_without_paths(recipe: &Imported) -> serde_json::Value {
    let Imported { name, about, seed, head, compose, .. } = recipe;
    serde_json::json!({"name": name, "about": about, "seed": seed, "head": head, "compose": compose})
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSES: Pauses = Pauses { checkpoint: 200, validate: 100 };

    /// A world in which the answer is the reference's vector turned by what the words say.
    fn written(dir: &Path) -> PathBuf {
        let mut rng = scenes::Rng::keyed(1, &[9]);
        let (mut items, mut words) = (String::new(), String::new());
        let mut number = || rng.below(2001) as f32 / 1000.0 - 1.0;
        for split in ["train", "val"] {
            let (mut gallery, mut asked) = (String::new(), String::new());
            for family in 0..12 {
                let base: Vec<f32> = (0..8).map(|_| number()).collect();
                for turn in 0..3 {
                    let name = format!("{split}{family}-{turn}");
                    let mut own = base.clone();
                    own[turn] += 2.0;
                    gallery += &format!("{{\"name\": \"{name}\", \"path\": \"{name}.png\"}}\n");
                    items += &format!("{}\n", serde_json::json!({"name": name, "vector": own}));
                    if turn > 0 {
                        let says: Vec<f32> = (0..8).map(|i| if i == turn { 1.0 } else { 0.1 }).collect();
                        words += &format!("{}\n", serde_json::json!({"name": format!("q-{name}"), "vector": says}));
                        asked += &format!(
                            "{}\n",
                            serde_json::json!({"id": format!("q-{name}"), "reference": format!("{split}{family}-0"), "text": "turn", "targets": [name]})
                        );
                    }
                }
            }
            std::fs::write(dir.join(format!("gallery.{split}.jsonl")), gallery).unwrap();
            std::fs::write(dir.join(format!("triplets.{split}.jsonl")), asked).unwrap();
        }
        std::fs::write(dir.join("items.jsonl"), items).unwrap();
        std::fs::write(dir.join("words.jsonl"), words).unwrap();
        let recipe = "name = \"t\"\nabout = \"t\"\nseed = 3\n[features]\nset = \".\"\nitems = \"items.jsonl\"\nwords = \"words.jsonl\"\n\
             [head]\nprototypes = 6\ntop_k = 3\n[compose]\nlearns = \"head\"\nsteps = 30\nfamilies = 8\ntriplets = 2\nrate = 5e-3\nwarmup = 3\ndecay = 0.01\n";
        let path = dir.join("recipe.toml");
        std::fs::write(&path, recipe).unwrap();
        path
    }

    #[test]
    fn a_head_learns_on_vectors_from_anywhere_and_writes_questions_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path());
        assert!(Imported::is(&std::fs::read_to_string(&path).unwrap()));
        assert!(!Imported::is("name = \"x\"\n[world]\nseed = 1\n"));
        let recipe = Imported::open(&path).unwrap();
        let out = dir.path().join("out");
        let mut losses = Vec::new();
        let mut tell = |p: Progress| {
            losses.extend(p.line.split_whitespace().nth(1).and_then(|v| v.parse::<f32>().ok()));
        };
        assert_eq!(follow(&recipe, &out, PAUSES, &mut tell, &|| false).unwrap(), Ended::Done);
        let mean = |l: &[f32]| l.iter().sum::<f32>() / l.len() as f32;
        assert!(mean(&losses[25..]) < mean(&losses[..5]), "{losses:?}");
        let queries = Vectors::read(&out.join("queries.val.jsonl")).unwrap();
        assert_eq!((queries.names.len(), queries.dim), (24, 8));
        for row in queries.values.chunks_exact(8) {
            assert!((row.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-4);
        }
        assert!(out.join("head.safetensors").exists() && out.join("run.json").exists());
    }

    #[test]
    fn a_run_does_not_go_on_with_other_questions() {
        let dir = tempfile::tempdir().unwrap();
        let recipe = Imported::open(&written(dir.path())).unwrap();
        let go_on = || {
            let asked = std::cell::Cell::new(0);
            let soon = || asked.replace(asked.get() + 1) == 3;
            follow(&recipe, &dir.path().join("out"), PAUSES, &mut |_| (), &soon)
        };
        assert_eq!(go_on().unwrap(), Ended::Stopped(3));
        assert_eq!(go_on().unwrap(), Ended::Stopped(6));
        // The same vectors, asked another way: one question's answer is another item.
        let path = dir.path().join("triplets.train.jsonl");
        let asked = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, asked.replacen("\"targets\":[\"train0-1\"]", "\"targets\":[\"train0-2\"]", 1)).unwrap();
        assert_ne!(std::fs::read_to_string(&path).unwrap(), asked);
        assert!(matches!(go_on(), Err(TrainError::OtherRun { .. })));
    }

    #[test]
    fn a_batch_that_may_be_of_one_question_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut recipe = Imported::open(&written(dir.path())).unwrap();
        let mut says = |families: usize, text: &str| {
            recipe.compose.families = families;
            let said = follow(&recipe, &dir.path().join("out"), PAUSES, &mut |_| (), &|| true).unwrap_err().to_string();
            assert!(said.contains(text), "{said}");
        };
        says(13, "a batch takes 13 groups of questions; the set has 12");
        // One family at a time, and one family of a single question.
        let path = dir.path().join("triplets.train.jsonl");
        let asked = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, asked.split_once('\n').unwrap().1).unwrap();
        says(1, "one question of the set alone");
    }

    #[test]
    fn what_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path());
        let says = |text: &str| {
            let recipe = Imported::open(&path).and_then(|r| {
                follow(&r, &dir.path().join("no"), PAUSES, &mut |_| (), &|| true)
                    .map(|_| ())
                    .map_err(|e| RecipeError::Wrong(e.to_string()))
            });
            let said = recipe.unwrap_err().to_string();
            assert!(said.contains(text), "{said}");
        };
        let words = std::fs::read_to_string(dir.path().join("words.jsonl")).unwrap();
        let fewer: Vec<&str> = words.lines().skip(1).collect();
        std::fs::write(dir.path().join("words.jsonl"), fewer.join("\n")).unwrap();
        says("the words of question q-train0-1 have no vector");
        std::fs::write(dir.path().join("words.jsonl"), "{\"name\": \"a\", \"vector\": [1, 2]}\n").unwrap();
        says("one space is needed");
    }
}
