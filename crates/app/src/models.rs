//! Which model and which method: the one inside the program, one with a name, or a folder.

use std::path::Path;
use std::sync::Arc;

use library::Library;
use methods::imagine::Concrete;
use methods::{METHODS, Manifest, Method, Model};
use nets::published::Published;
use nets::weights::{Checkpoint, Loaded, WeightsError};
use search::Engine;

use crate::context::Context;
use crate::exit::{Exit, Failure, nearest};
use crate::paths::shown;
use crate::settings::Settings;
use crate::shelf::{self, Meant, Shelf};

/// Says how much of some words a model does not read, where that is any.
pub fn tell_of_cut(model: &Model, words: &str, context: &Context) {
    let cut = model.words.encode(words).cut;
    if cut > 0 {
        let name = &model.manifest.name;
        context.say(format!("warning: the words are too long for {name}; the last {cut} pieces of them are not read"));
    }
}

/// The model inside the program: a model folder, file by file.
const MANIFEST: &[u8] = include_bytes!("../../../models/scenes-toy/manifest.json");
/// Its weights, as they lie in its folder.
pub const WEIGHTS: &[u8] = include_bytes!("../../../models/scenes-toy/model.safetensors");
const VOCAB: &[u8] = include_bytes!("../../../models/scenes-toy/vocab.txt");

/// Memory of a model at work, in hundredths of what it needs at one time: pictures and batches differ in
/// size, and what the last one left serves the next one only if it is large enough.
const ROOM_PERCENT: usize = 125;

/// The model that the settings ask for.
pub fn open(settings: &Settings) -> Result<Arc<Model>, Failure> {
    let device = nets::device(settings.device()).map_err(|e| Failure::new(Exit::Missing, e))?;
    let meant = Shelf::open().find(settings.model())?;
    // Of what the last layer was read into and packed from, the next one takes some again.
    crate::MEMORY.keep(ROOM_PERCENT);
    let model = load(&meant, &device).map(|(mut model, _)| {
        model.pack(settings.precision());
        model.set_batch(settings.batch());
        model
    });
    crate::MEMORY.keep(ROOM_PERCENT);
    Ok(Arc::new(model?))
}

/// A model, from inside the program or from its folder; of a published one also what became of each
/// of its tensors.
pub fn load(meant: &Meant, device: &nets::Device) -> Result<(Model, Option<Loaded>), Failure> {
    let inside = "leave --model out to use the one inside the program";
    match meant {
        Meant::Inside => Ok((embedded(device)?, None)),
        Meant::Here { folder, .. } if is_ours(folder) => {
            Ok((Model::open(folder, device).map_err(|e| Failure::from(e).hint(inside))?, None))
        }
        Meant::Here { name, folder } => {
            published(name, folder, device).map(|(m, l)| (m, Some(l))).map_err(|f| f.hint(inside))
        }
    }
}

/// What a model says of itself while its weights stay on disk.
pub struct Look {
    /// Its name.
    pub name: String,
    /// What it is good for.
    pub about: String,
    /// Whether it has only ever seen drawn scenes.
    pub drawn_only: bool,
    /// Its family.
    pub family: nets::Family,
    /// Numbers in its weights.
    pub numbers: u64,
}

/// Looks at a model without loading it: its settings, and the names and shapes of its tensors.
pub fn look(meant: &Meant) -> Result<Look, Failure> {
    let numbers =
        |weights: &Checkpoint| weights.tensors().map(|(_, entry)| entry.shape.iter().product::<usize>() as u64).sum();
    let own = |manifest: Manifest, weights: &Checkpoint| Look {
        family: manifest.backbone.family(),
        numbers: numbers(weights),
        name: manifest.name,
        about: manifest.about,
        drawn_only: manifest.drawn_only,
    };
    let open = |weights: Result<Checkpoint, WeightsError>| weights.map_err(|e| Failure::new(Exit::Missing, e));
    match meant {
        Meant::Inside => Ok(own(Manifest::from_bytes(MANIFEST)?, &open(Checkpoint::from_bytes(WEIGHTS.to_vec()))?)),
        Meant::Here { folder, .. } if is_ours(folder) => {
            Ok(own(Manifest::open(folder)?, &open(Checkpoint::open(&folder.join("model.safetensors")))?))
        }
        Meant::Here { name, folder } => {
            let (weights, found) = described(folder)?;
            let (name, about) = called(name);
            Ok(Look { name, about, drawn_only: false, family: found.config.family(), numbers: numbers(&weights) })
        }
    }
}

/// A folder as others publish it, or a checkpoint of theirs: sizes, view and words from its own files.
fn published(name: &str, place: &Path, device: &nets::Device) -> Result<(Model, Loaded), Failure> {
    let (weights, found) = described(place)?;
    let digest = shelf::digest(weights.files())?;
    let (short, about) = called(name);
    Ok(Model::published(&short, &about, found, &weights, digest, device)?)
}

/// What lies in a published place, and what it says of itself.
fn described(place: &Path) -> Result<(Checkpoint, Published), Failure> {
    let bad = |e: &dyn std::fmt::Display| Failure::new(Exit::Missing, format!("{}: {e}", shown(place)));
    let weights = Checkpoint::open(place).map_err(|e| bad(&e))?;
    let beside = if place.is_dir() { place } else { place.parent().unwrap_or(Path::new("")) };
    let weights = nets::blip2::import::completed(weights, beside).map_err(|e| bad(&e))?;
    let found = Published::read(place, &weights, &Shelf::open().vocabularies()).map_err(|e| bad(&e))?;
    Ok((weights, found))
}

/// The name that spaces carry, and what it is good for.
fn called(name: &str) -> (String, String) {
    let about = hub::known(name).map_or("a published model", |k| k.about);
    // A folder's path is not its name: the same model elsewhere must be the same space.
    let short = Path::new(name).file_name().map_or(name.into(), |n| n.to_string_lossy());
    (short.into_owned(), about.to_owned())
}

/// Whether a folder is laid out as we do it.
fn is_ours(folder: &Path) -> bool {
    folder.is_dir() && folder.join("manifest.json").exists()
}

/// The method that is asked for; where nobody asks, the one that suits the model.
fn suited(settings: &Settings, model: &Model) -> String {
    match settings.method() {
        Some(name) => name.to_owned(),
        None if model.imagine.is_some() => "imagine".to_owned(),
        None => match joined(model) {
            Concrete::Added => "add".to_owned(),
            Concrete::Composed | Concrete::Sum => "sum".to_owned(),
        },
    }
}

/// How picture and words are joined where nothing composes them.
pub fn joined(model: &Model) -> Concrete {
    // These were trained so that the plain sum of both features lies near what is meant.
    match model.manifest.name.starts_with("bge-vl") {
        true => Concrete::Added,
        false => Concrete::Sum,
    }
}

/// Model and method together.
pub fn chosen(settings: &Settings) -> Result<Box<dyn Method>, Failure> {
    let model = open(settings)?;
    method(&suited(settings, &model), &model)
}

/// The model inside the program.
pub fn embedded(device: &nets::Device) -> Result<Model, Failure> {
    Ok(Model::from_parts(MANIFEST, WEIGHTS, VOCAB, device)?)
}

/// The method with this name over a model; an unknown name is answered with the nearest known one.
pub fn method(name: &str, model: &Arc<Model>) -> Result<Box<dyn Method>, Failure> {
    Ok((known(name)?.make)(model.clone())?)
}

/// The line of the list of methods with this name.
pub fn known(name: &str) -> Result<&'static methods::Entry, Failure> {
    methods::entry(name).ok_or_else(|| {
        let failure = Failure::usage(format!("there is no method {name:?}"));
        let failure = match nearest(name, METHODS.iter().map(|m| m.name)) {
            Some(meant) => failure.hint(format!("did you mean {meant:?}?")),
            None => failure,
        };
        METHODS.iter().fold(failure, |f, m| f.hint(format!("{:<8} {}", m.name, m.about)))
    })
}

/// Method, model and library together, to fill the library.
pub fn filling(settings: &Settings, library: Library) -> Result<Engine, Failure> {
    Engine::new(chosen(settings)?, library).map_err(|e| other_model(e, &settings.library()))
}

/// Method, model and library together, to ask the library.
pub fn asking(settings: &Settings, library: Library) -> Result<Engine, Failure> {
    Engine::asking(chosen(settings)?, library).map_err(|e| other_model(e, &settings.library()))
}

/// The same with one method, whatever the settings say.
pub fn asking_with(name: &str, settings: &Settings, library: Library) -> Result<Engine, Failure> {
    let method = method(name, &open(settings)?)?;
    Engine::asking(method, library).map_err(|e| other_model(e, &settings.library()))
}

/// A library that another model filled: what the user can do about it.
fn other_model(error: search::SearchError, folder: &Path) -> Failure {
    let failure = Failure::from(error);
    match failure.exit {
        Exit::Library => failure
            .hint(format!("the library is {}", folder.display()))
            .hint("to keep it, ask with the model that filled it: --model NAME_OR_FOLDER")
            .hint("to begin another beside it: --library FOLDER"),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_inside_the_program_opens_and_holds_every_method() {
        let model = Arc::new(embedded(&nets::cpu()).expect("it was built in"));
        for entry in METHODS {
            assert!(method(entry.name, &model).is_ok(), "{}", entry.name);
        }
        assert!(WEIGHTS.len() <= 12 << 20, "the shipped weights have {} bytes", WEIGHTS.len());
    }

    /// Real pictures and clips, where they are: every so manyth, for there are thousands.
    fn real() -> Vec<std::path::PathBuf> {
        let mut all = Vec::new();
        for (folder, step) in [("flickr8k_1k/images", 20), ("videos", 3)] {
            let place = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")).join(folder);
            let Ok(entries) = std::fs::read_dir(&place) else {
                eprintln!("skipped: {folder} is not on this machine");
                continue;
            };
            let mut here: Vec<_> = entries.flatten().map(|e| e.path()).collect();
            here.sort();
            all.extend(here.into_iter().step_by(step));
        }
        all
    }

    #[test]
    fn all_numbers_keep_what_the_settings_promise_of_pictures_clips_and_words() {
        let exact = embedded(&nets::cpu()).expect("it was built in");
        let (view, sampling) = (&exact.manifest.view, exact.manifest.sampling);
        let drawn = scenes::build(&scenes::World::tiny());
        let mut seen: Vec<_> = drawn.items.iter().take(40).map(|i| train::see(&i.scene, view, sampling)).collect();
        // What is no picture is left out: a licence lies among them.
        let open = |path| search::see(&exact.manifest, &domain::MediaRef::file(path), &media::Limits::default());
        seen.extend(real().into_iter().filter_map(|path| open(path).ok()));
        let seen: Vec<&methods::Seen> = seen.iter().collect();
        let words: Vec<&str> = drawn.items.iter().take(40).map(|i| i.caption.as_str()).collect();
        let cosine = |a: &domain::Embedding, b: &domain::Embedding| {
            a.values.iter().zip(&b.values).map(|(a, b)| f64::from(a * b)).sum::<f64>()
        };
        let (pictures, said) = (exact.embed(&seen), exact.say(&words));
        for (numbers, least) in [(nets::layers::Numbers::Bf16, 0.9995), (nets::layers::Numbers::Int8, 0.999)] {
            let mut packed = embedded(&nets::cpu()).expect("it was built in");
            packed.pack(numbers);
            for (what, want, got) in [("seen", &pictures, packed.embed(&seen)), ("said", &said, packed.say(&words))] {
                let worst = want.iter().zip(&got).map(|(a, b)| cosine(a, b)).fold(1.0, f64::min);
                eprintln!("{numbers:?}: {} {what}, the furthest at {worst:.5}", got.len());
                assert!(worst >= least, "{numbers:?} {what}: {worst}");
            }
        }
    }

    /// The path is chosen once for a process, so each has one of its own: this program again, with the test above.
    #[test]
    fn all_numbers_keep_it_on_every_path_of_this_processor() {
        for path in nets::CpuPath::all() {
            let mut run = std::process::Command::new(std::env::current_exe().expect("it runs"));
            let name = "all_numbers_keep_what_the_settings_promise";
            let done = run.args([name, "--nocapture"]).env("LIKEBUT_CPU", path.name()).output().expect("it starts");
            let told = String::from_utf8_lossy(&done.stdout);
            assert!(done.status.success() && told.contains(" 1 passed"), "{}:\n{told}", path.name());
            eprint!("{}:\n{}", path.name(), String::from_utf8_lossy(&done.stderr));
        }
    }

    #[test]
    fn an_unknown_method_is_answered_with_the_nearest() {
        let Err(failure) = known("imagin") else { panic!("there is no such method") };
        assert_eq!((failure.exit, failure.hints[0].as_str()), (Exit::Usage, "did you mean \"imagine\"?"));
        assert_eq!(failure.hints.len(), 1 + METHODS.len());
    }
}
