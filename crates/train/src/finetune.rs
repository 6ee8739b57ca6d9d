//! Fine-tuning: a model that is there learns from questions about pictures and clips that lie here, a
//! published set or a shop's own file of them.
//!
//! ```toml
//! name = "shop"
//! about = "what our customers mean by: like this, but"
//! seed = 1
//!
//! [set]
//! train = "questions.csv"     # reference,text,target: as `likebut eval` reads them
//! # or, of a published set:
//! # name = "cirr"
//! # root = "cirr"
//!
//! [compose]
//! steps = 600
//! families = 32               # groups of questions in a batch,
//! triplets = 4                # and how many stand together in a group
//! rate = 1e-4
//! warmup = 30
//! decay = 0.05
//! ```
//!
//! What learns, and by which loss, are the settings of the same stage of a [`crate::Recipe`]; what is new
//! is where the items come from, and what is watched. Nothing here is chosen by what is watched: the weights
//! of the last step are those that are written. Still, a person may choose by it, so it should not be what
//! the set is marked on: where a published set is marked on its validation split, that is said. All items of what is
//! watched stand in one gallery, whatever a set's rules say of categories and references, so that its marks are a
//! little below those of `likebut eval`.

use crate::compose::{Head, Learns, Settings};
use crate::filed::{Filed, digest_of, groups};
use crate::follow::{Record, made_of};
use crate::imported::families;
use crate::questions::Asked;
use crate::recipe::{Precision, RecipeError, begins, headless, is_default, parsed, text};
use crate::reproduce::{frames_of, protocol};
use crate::run::{Ended, Pauses, Progress, TrainError};
use crate::tokens::Tokens;
use crate::triplets::{Lesson, Place};
use benchmarks::sets::{Set, mine, set};
use benchmarks::{Benchmark, GalleryRule, Protocol};
use domain::{Digest, Sampling, Split};
use methods::imagine::{Concrete, Config as Imagine};
use methods::{Model, covr2};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The share of the questions that is held out to be watched on, where nothing else is named.
const HELD_OUT: f64 = 0.05;

/// A fine-tuning run: everything that it depends on but the model that it begins with and the files.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finetune {
    /// The name of the model that comes out.
    pub name: String,
    /// What it is, in a sentence.
    pub about: String,
    /// Seed of weights, batches and order.
    pub seed: u64,
    /// In what linear layers multiply while training; weights, sums and marks are f32 either way.
    #[serde(default, skip_serializing_if = "is_default")]
    pub precision: Precision,
    /// Which frames of a clip; those that the set's protocol names where absent, and else the model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<Sampling>,
    /// Settings of a new head of IMAGINE; where absent, the model's own goes on learning, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Imagine>,
    /// Settings of CoVR-2; where given, it is trained instead of IMAGINE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covr2: Option<covr2::Config>,
    /// Where the questions lie.
    pub set: Questions,
    /// How they are learnt from.
    #[serde(alias = "imagine")]
    pub compose: Settings,
}

/// Where the questions lie, as it is written: a published set by `name` and `root`, or files. Paths start
/// from the recipe's folder.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Questions {
    /// What `likebut eval --bench` calls the set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
    /// A file of questions to learn from: JSONL, CSV, COCO-like JSON or a WebDataset archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<PathBuf>,
    /// A file of questions to watch on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val: Option<PathBuf>,
    /// Instead of a validation split or file: the share of the questions to learn from that is watched on and
    /// not learnt from, whole groups of those that hang together by their items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<f64>,
}

/// The same, as it is meant.
#[derive(Clone, Copy)]
enum Learnt<'a> {
    Set(&'static Set, &'a Path),
    File(&'a Path),
}

/// What is watched.
#[derive(Clone, Copy)]
enum Watch<'a> {
    Split(&'static Set, &'a Path),
    File(&'a Path),
    HeldOut(f64),
}

impl Questions {
    fn meant(&self) -> Result<(Learnt<'_>, Watch<'_>), RecipeError> {
        let wrong = |why: String| Err(RecipeError::Wrong(why));
        let from = match (&self.name, &self.root, &self.train) {
            (Some(name), Some(root), None) => match set(name) {
                Some(known) if known.splits.contains(&Split::Train) => Learnt::Set(known, root),
                Some(_) => return wrong(format!("{name} has nothing to learn from, it is only marked on")),
                None => return wrong(format!("{name:?} is no set; `likebut data list` prints those that are known")),
            },
            (None, None, Some(file)) => Learnt::File(file),
            _ => {
                let needs =
                    "[set] needs a published set's `name` and its folder, `root`, or else `train`, a file of questions";
                return wrong(needs.into());
            }
        };
        let watch = match (&from, &self.val, self.held_out) {
            (_, Some(_), Some(_)) => {
                return wrong("[set] has both `val` and `held_out`; one of them is watched".into());
            }
            (Learnt::Set(..), Some(_), _) => {
                return wrong("a published set brings its own validation split; leave `val` out".into());
            }
            (_, None, Some(share)) if !(share > 0.0 && share < 1.0) => {
                return wrong(format!("held_out is {share}; a share between 0 and 1 is needed"));
            }
            (_, None, Some(share)) => Watch::HeldOut(share),
            (Learnt::File(_), Some(val), None) => Watch::File(val),
            (Learnt::Set(set, root), None, None) if set.splits.contains(&Split::Val) => Watch::Split(set, root),
            (_, None, None) => Watch::HeldOut(HELD_OUT),
        };
        Ok((from, watch))
    }
}

impl Finetune {
    /// Whether a recipe's text is of this kind.
    pub fn is(text: &str) -> bool {
        toml::from_str::<toml::Table>(text).is_ok_and(|t| t.contains_key("set"))
    }

    /// From a file; its paths then start from where it lies.
    pub fn open(path: &Path) -> Result<Self, RecipeError> {
        let mut recipe = Self::parse(&text(path)?)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let Questions { root, train, val, .. } = &mut recipe.set;
        [root, train, val].into_iter().flatten().for_each(|p| *p = folder.join(&p));
        Ok(recipe)
    }

    /// From its text.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        let recipe: Self = parsed(text)?;
        if let Some(head) = &recipe.head {
            head.check().map_err(RecipeError::Wrong)?;
        }
        if let Some(c) = &recipe.covr2 {
            c.check().map_err(RecipeError::Wrong)?;
        }
        let s = &recipe.compose;
        s.check().map_err(RecipeError::Wrong)?;
        headless(s, recipe.covr2.is_some())?;
        recipe.set.meant()?;
        Ok(recipe)
    }

    /// The recipe without where its files lie, which decides nothing.
    fn fingerprint(&self) -> Result<String, RecipeError> {
        let set = Questions { root: None, train: None, val: None, ..self.set.clone() };
        let told = Self { set, ..self.clone() };
        serde_json::to_string_pretty(&told).map_err(|e| RecipeError::Wrong(e.to_string()))
    }

    /// Which method learns, given what the model that it begins with has; and whether that goes on. Where the
    /// model composes nothing itself, `joined` is what stands for it.
    fn method(&self, from: &Model, joined: Concrete) -> Result<(Head, bool), RecipeError> {
        let apart = from.manifest.backbone.blip2().is_err();
        if apart && (self.compose.learns != Learns::Head || self.covr2.is_some()) {
            return Err(RecipeError::Wrong(format!(
                "{} sees and reads apart, so there is no composition that could learn; IMAGINE's head can, on its features: \
                 learns = \"head\"",
                from.manifest.name
            )));
        }
        let new = |c: &Imagine| match apart && c.concrete == Concrete::Composed {
            true => Imagine { concrete: joined, ..c.clone() },
            false => c.clone(),
        };
        let (head, goes_on) = match (&self.covr2, &self.head, &from.manifest.imagine) {
            (Some(c), ..) => (Head::Covr2(c.clone()), false),
            (None, Some(c), _) => (Head::Imagine(new(c)), false),
            (None, None, Some(c)) => (Head::Imagine(c.clone()), from.imagine.is_some()),
            (None, None, None) => (Head::Imagine(new(&Imagine::default())), false),
        };
        if let (Ok(backbone), Head::Imagine(c), Learns::QFormer, false) =
            (from.manifest.backbone.blip2(), &head, self.compose.learns, goes_on)
        {
            begins(c, backbone.queries)?;
        }
        Ok((head, goes_on))
    }

    /// The model as it begins: named anew, with the head that goes on, if one does.
    fn begun(&self, from: &Model, goes_on: bool, source: Learnt<'_>, rules: &Protocol) -> Result<Model, TrainError> {
        if from.gallery.is_some() && self.compose.learns == Learns::Head {
            let why = "the model's gallery is made by a network of its own, which a head alone cannot be trained beside; \
                       learns = \"q-former\"";
            return Err(RecipeError::Wrong(why.into()).into());
        }
        let mut model = from.headless(&self.name, &self.about)?;
        if goes_on {
            model.imagine.clone_from(&from.imagine);
            model.manifest.imagine.clone_from(&from.manifest.imagine);
        }
        model.gallery.clone_from(&from.gallery);
        let of_rules = if let Learnt::Set(..) = source { frames_of(rules) } else { None };
        if let Some(frames) = self.frames.or(of_rules) {
            model.manifest.sampling = frames;
        }
        // A folder in our own format may be one that was drawn.
        model.manifest.drawn_only &= matches!(source, Learnt::Set(set, _) if set.name == "scenes");
        Ok(model)
    }

    /// Reads the questions and looks at every file that they name; `None` if it was stopped.
    fn read(
        &self,
        (source, watch): (Learnt<'_>, Watch<'_>),
        rules: &Protocol,
        model: &Model,
        dir: &Path,
        report: &(dyn Fn(&'static str, usize, usize) + Sync),
        say: &dyn Fn(String),
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Read>, TrainError> {
        let tell = |done: usize, total: usize| {
            if done.is_multiple_of(64) || done == total {
                report("look", done, total);
            }
        };
        let look = |exams: Vec<Benchmark>, name: &str| {
            Filed::look(exams, &model.manifest, &dir.join(format!("looked.{name}.json")), &tell, stop)
        };
        // Two archives may well name their files alike.
        let file = |file: &Path, part: &str| mine::open(file, &dir.join("unpacked").join(part), rules);
        let learnt = match source {
            // Whom nobody asks about is nothing to learn from.
            Learnt::Set(set, root) => {
                set.open(root, Split::Train, &Protocol { gallery: GalleryRule::Named, ..rules.clone() })?
            }
            Learnt::File(path) => file(path, "train")?,
        };
        let notes = |notes: &[String]| notes.iter().for_each(|n| say(n.clone()));
        notes(&learnt.notes);
        let Some(learn) = look(learnt.exams, "train")? else { return Ok(None) };
        let asked = learn.questions(model);
        complain(&learn, asked.len(), "learn from", say)?;
        let watched = match watch {
            Watch::HeldOut(share) => {
                let (asked, val_asked) = hold_out(learn.names().len(), asked, share, self.seed)?;
                return Ok(Some(Read { learn, asked, val: None, val_asked }));
            }
            Watch::Split(set, root) => set.open(root, Split::Val, rules)?,
            Watch::File(path) => file(path, "val")?,
        };
        notes(&watched.notes);
        let Some(val) = look(watched.exams, "val")? else { return Ok(None) };
        let val_asked = val.questions(model);
        complain(&val, val_asked.len(), "watch on", say)?;
        Ok(Some(Read { learn, asked, val: Some(val), val_asked }))
    }

    /// Follows the recipe from a model, whose features are `joined` where it composes nothing itself; what is
    /// already done in the folder is not done again. Leaves `model/` and `run.json`; says how it ended, and
    /// what was left out, with the reason.
    pub fn follow(
        &self,
        (from, joined): (&Model, Concrete),
        dir: &Path,
        pauses: Pauses,
        tell: &mut (dyn FnMut(Progress) + Send),
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(Ended, Vec<(String, String)>), TrainError> {
        let tell = Mutex::new(tell);
        let say = |p: Progress| {
            if let Ok(mut tell) = tell.lock() {
                tell(p);
            }
        };
        let report = |stage: &'static str, done: usize, total: usize| {
            say(Progress { stage, done: done.min(total), total, line: String::new(), notice: false });
        };
        let (source, watch) = self.set.meant()?;
        let rules = match source {
            Learnt::Set(set, _) => protocol(set),
            Learnt::File(_) => Protocol::default(),
        };
        let (head, goes_on) = self.method(from, joined)?;
        let model = self.begun(from, goes_on, source, &rules)?;
        let stopped = || Ok((Ended::Stopped(0), Vec::new()));
        let note = |line: String| say(Progress::notice("look", line));
        let read = self.read((source, watch), &rules, &model, dir, &report, &note, stop)?;
        let Some(read) = read else { return stopped() };
        let ask = groups(&read.asked, self.compose.triplets, usize::MAX);
        self.compose.batches(self.seed).check("the set", &ask)?;
        if let Watch::Split(set, _) = watch
            && set.splits.first() == Some(&Split::Val)
        {
            let why = format!("watched on val, which `likebut eval --bench {}` marks", set.name);
            note(format!("{why}: choose nothing by it, or watch on `held_out` questions"));
        }
        let (batch, steps) = (self.compose.families * self.compose.triplets, self.compose.steps);
        let passes = (steps * batch) as f64 / read.asked.len().max(1) as f64;
        let sizes = format!("{} questions to learn from, {} to watch on", read.asked.len(), read.val_asked.len());
        note(format!("{sizes}; {steps} steps of {batch} are {passes:.1} passes"));

        let said = matches!(&head, Head::Covr2(c) if c.caption_weight > 0.0);
        let captions = said.then(|| captions(&read.learn, &read.asked)).transpose()?;
        let recipe = self.fingerprint()?;
        let data = read.told(captions.as_deref());
        let mut record = Record::new(&recipe, data.clone(), model.pieces(), Some(from));
        // Before anything of it is replaced.
        record.refuses(dir, &["recipe", "data", "from"])?;
        record.write(dir)?;
        let place = dir.join("tokens");
        std::fs::create_dir_all(&place).map_err(|e| TrainError::File { path: place.clone(), why: e.to_string() })?;
        let size =
            Tokens::bytes(&model, &read.learn)? + read.val.as_ref().map_or(Ok(0), |v| Tokens::bytes(&model, v))?;
        let line = format!("the vision tokens take {:.1} MB in {}", size as f64 / 1e6, place.display());
        say(Progress::notice("encode", line));
        let tokens = |filed: &Filed, name: &str| {
            Tokens::on_disk(&place.join(name), &model, filed, &|d, t| report("encode", d, t), &|| stop())
        };
        let Some(learn_tokens) = tokens(&read.learn, "train.f16")? else { return stopped() };
        let own = read.val.as_ref().map(|val| tokens(val, "val.f16")).transpose()?;
        let val_tokens = match &own {
            Some(Some(tokens)) => tokens,
            Some(None) => return stopped(),
            // Those that are held out lie among the others.
            None => &learn_tokens,
        };
        let keys = serde_json::json!({"train": learn_tokens.key(), "val": val_tokens.key()});
        record.value["tokens"] = keys.clone();
        record.write(dir)?;

        let method = head.name();
        let left_out = read.left_out();
        let lesson = Lesson {
            settings: &self.compose,
            head,
            precision: self.precision,
            seed: self.seed,
            tokens: &learn_tokens,
            names: read.learn.names(),
            captions,
            questions: ask,
            val_tokens,
            val_questions: read.val_asked,
        };
        let fingerprint = format!("{recipe}\nfrom {} {joined:?}\nof {data}\ntokens {keys}", from.manifest.weights);
        let place = Place { dir, fingerprint, pauses };
        let (mut model, ended) = lesson.learn(model, &place, &mut |p| say(p), stop)?;
        if ended == Ended::Done {
            model.manifest.made = made_of(&recipe, method, Some(from));
            let saved = model.save(&dir.join("model"), true)?;
            record.stage(method, serde_json::json!({"weights": saved.weights}));
            record.write(dir)?;
        }
        Ok((ended, left_out))
    }
}

/// What was read.
struct Read {
    learn: Filed,
    asked: Vec<Asked>,
    /// Other files than those that are learnt from, where they are.
    val: Option<Filed>,
    val_asked: Vec<Asked>,
}

impl Read {
    /// Files and questions that had to be left out, with the reason.
    fn left_out(&self) -> Vec<(String, String)> {
        self.learn.left_out.iter().chain(self.val.iter().flat_map(|v| &v.left_out)).cloned().collect()
    }

    /// All of it by number and digest; `captions` where they are learnt from.
    fn told(&self, captions: Option<&[String]>) -> serde_json::Value {
        let of = |f: &Filed, asked: &[Asked]| {
            let digest = digest_of(f.exams.iter().map(|e| &e.benchmark));
            serde_json::json!({"items": f.names().len(), "questions": asked.len(), "digest": digest})
        };
        let val = match &self.val {
            Some(val) => of(val, &self.val_asked),
            None => serde_json::json!({"held_out": true, "questions": self.val_asked.len()}),
        };
        let mut told =
            serde_json::json!({"train": of(&self.learn, &self.asked), "val": val, "left_out": self.left_out()});
        // What a digest of questions does not tell, where there is any.
        let scores: Vec<&[f32]> = self.asked.iter().map(|a| &a.frame_scores[..]).collect();
        if scores.iter().any(|s| !s.is_empty()) {
            told["frame_scores"] = serde_json::json!(Digest::of(serde_json::json!(scores).to_string().as_bytes()));
        }
        if let Some(captions) = captions {
            told["captions"] = serde_json::json!(Digest::of(captions.join("\0").as_bytes()));
        }
        told
    }
}

/// Says what was left out before hours of work begin; with nothing left there is no work.
fn complain(filed: &Filed, asked: usize, what: &str, say: &dyn Fn(String)) -> Result<(), RecipeError> {
    let n = filed.left_out.len();
    let some: Vec<String> = filed.left_out.iter().take(3).map(|(name, why)| format!("{name}: {why}")).collect();
    let some = if n > some.len() { format!("{}; …", some.join("; ")) } else { some.join("; ") };
    match (asked, n) {
        (0, 0) => Err(RecipeError::Wrong(format!("there is no question to {what}"))),
        (0, _) => Err(RecipeError::Wrong(format!(
            "no question is left to {what}: {n} files and questions cannot be used ({some}); do the paths start from where \
             the questions lie?"
        ))),
        (_, 0) => Ok(()),
        _ => {
            say(format!("left out of what there is to {what}: {n} files and questions ({some})"));
            Ok(())
        }
    }
}

/// What each item is, in words, as far as it is an answer: the loss compares with no other. A set that does not
/// say so of one cannot be learnt from by captions.
fn captions(filed: &Filed, asked: &[Asked]) -> Result<Vec<String>, TrainError> {
    let all = filed.captions();
    if let Some(a) = asked.iter().find(|a| all[a.targets[0]].is_none()) {
        let why = format!(
            "[covr2] compares with captions, and the set has none of what question {} asks for; caption_weight = 0 \
             leaves them out",
            a.id
        );
        return Err(RecipeError::Wrong(why).into());
    }
    Ok(all.into_iter().map(|c| c.unwrap_or_default().to_owned()).collect())
}

/// Some of the questions apart from the others: what is learnt from, and what is watched, each counted anew.
/// Questions that share an item, directly or through others, stay on one side.
fn hold_out(items: usize, asked: Vec<Asked>, share: f64, seed: u64) -> Result<(Vec<Asked>, Vec<Asked>), RecipeError> {
    let all = asked.len();
    let mut families = families(items, asked);
    // Of few questions a small share may be less than any family has: then the smallest is held out.
    let least = families.iter().map(Vec::len).min().unwrap_or(0);
    let most = ((share * all as f64).round() as usize).max(if least <= all / 2 { least } else { 0 });
    scenes::Rng::keyed(seed, &[7]).shuffle(&mut families);
    let (mut kept, mut held) = (Vec::new(), Vec::new());
    for family in families {
        match held.len() + family.len() <= most {
            true => held.extend(family),
            false => kept.extend(family),
        }
    }
    if held.is_empty() {
        return Err(RecipeError::Wrong(format!(
            "the {all} questions hang together by their items, {least} or more of them, so that none can be held out \
             to be watched on; name a file as `val`"
        )));
    }
    for side in [&mut kept, &mut held] {
        side.sort_by_key(|a| a.row);
        side.iter_mut().enumerate().for_each(|(row, a)| a.row = row);
    }
    Ok((kept, held))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(set: &str) -> String {
        format!(
            "name = \"t\"\nabout = \"t\"\nseed = 3\n[set]\n{set}\n[compose]\nsteps = 2\nfamilies = 4\ntriplets = 2\nrate = 1e-4\nwarmup = 1\ndecay = 0.05\n"
        )
    }

    #[test]
    fn what_is_written_is_told_apart() {
        assert!(Finetune::is(&recipe("train = \"a.csv\"")) && !Finetune::is("[world]\nseed = 1\n"));
        let meant = |set: &str| {
            let recipe = Finetune::parse(&recipe(set)).map_err(|e| e.to_string())?;
            let (from, watch) = recipe.set.meant().map_err(|e| e.to_string())?;
            Ok::<_, String>(format!(
                "{} {}",
                matches!(from, Learnt::Set(..)),
                match watch {
                    Watch::Split(..) => "split".to_owned(),
                    Watch::File(f) => f.display().to_string(),
                    Watch::HeldOut(share) => share.to_string(),
                }
            ))
        };
        assert_eq!(meant("train = \"a.csv\"").unwrap(), "false 0.05");
        assert_eq!(meant("train = \"a.csv\"\nval = \"b.csv\"").unwrap(), "false b.csv");
        assert_eq!(meant("name = \"cirr\"\nroot = \"cirr\"").unwrap(), "true split");
        assert_eq!(meant("name = \"cirr\"\nroot = \"cirr\"\nheld_out = 0.1").unwrap(), "true 0.1");
        for (set, says) in [
            ("train = \"a.csv\"\nname = \"cirr\"", "or else `train`"),
            ("name = \"cirr\"", "its folder"),
            ("name = \"nothing\"\nroot = \".\"", "no set"),
            ("name = \"circo\"\nroot = \".\"", "nothing to learn from"),
            ("train = \"a.csv\"\nval = \"b.csv\"\nheld_out = 0.1", "both"),
            ("train = \"a.csv\"\nheld_out = 1.5", "between 0 and 1"),
            ("name = \"cirr\"\nroot = \".\"\nval = \"b.csv\"", "its own validation split"),
        ] {
            let said = meant(set).unwrap_err();
            assert!(said.contains(says), "{set}: {said}");
        }
    }

    #[test]
    fn shipped_recipes_are_what_they_say() {
        let cirr = Finetune::parse(include_str!("../../../recipes/cirr.toml")).unwrap();
        let paper = crate::reproduce::Course::paper(set("cirr").unwrap()).over(28_225);
        assert_eq!(
            (&cirr.compose, cirr.head.as_ref(), cirr.precision),
            (&paper.training, Some(&paper.head), paper.precision)
        );
        let shop = Finetune::parse(include_str!("../../../recipes/shop.toml")).unwrap();
        assert!(matches!(shop.set.meant().unwrap(), (Learnt::File(_), Watch::HeldOut(_))));
    }

    #[test]
    fn whoever_shares_an_item_is_on_one_side() {
        // Forty questions: each pair of them shares its reference, and the first ten all share one target.
        let asked: Vec<Asked> = (0..40)
            .map(|row| {
                let (reference, targets) = (row / 2, vec![if row < 10 { 20 } else { 21 + row }]);
                Asked { id: row.to_string(), row, reference, words: Vec::new(), targets, frame_scores: Vec::new() }
            })
            .collect();
        let (kept, held) = hold_out(70, asked.clone(), 0.1, 1).unwrap();
        assert_eq!((kept.len(), held.len()), (36, 4));
        assert!(held.iter().enumerate().all(|(row, a)| a.row == row && a.reference >= 5), "{held:?}");
        let items = |side: &[Asked]| -> std::collections::BTreeSet<usize> {
            side.iter().flat_map(|a| a.targets.iter().copied().chain([a.reference])).collect()
        };
        assert!(items(&kept).is_disjoint(&items(&held)));
        assert!(kept.windows(2).all(|w| w[0].row + 1 == w[1].row && w[0].reference <= w[1].reference));
        let again = hold_out(70, asked.clone(), 0.1, 1).unwrap().1;
        assert!(again.iter().zip(&held).all(|(a, b)| a.id == b.id), "the same seed holds out the same");
        // One question is fewer than any family has; the smallest have two.
        assert_eq!(hold_out(70, asked.clone(), 0.02, 1).unwrap().1.len(), 2);
        let one: Vec<Asked> = asked.into_iter().take(10).collect();
        let said = hold_out(70, one, 0.5, 1).unwrap_err().to_string();
        assert!(said.contains("none can be held"), "{said}");
    }
}
