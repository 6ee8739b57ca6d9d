//! What can be typed: the one definition that help, completions, man page and reference come from.
//!
//! These types say what *was typed*; each file under `commands` says what it *means*.
//! Flags that are settings too are added from the table in [`crate::settings`].

use std::path::PathBuf;

use clap::{Arg, ArgAction, Args, CommandFactory as _, Parser, Subcommand};

use crate::settings::SETTINGS;

/// Show a picture or a clip, say what should be different, find the matching ones in your own
/// library.
#[derive(Debug, Parser)]
#[command(
    name = "likebut",
    version,
    before_help = "Examples:
  likebut demo                                    see it work, with nothing of your own
  likebut add ~/Pictures ~/Movies                 put your own files into the library
  likebut find sofa.jpg \"the same, in blue\"       like this, but …",
    after_help = crate::exit::help()
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Say only what is asked for and what went wrong
    #[arg(short, long, global = true, help_heading = "Everywhere")]
    pub quiet: bool,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(Demo),
    Add(Add),
    Find(Find),
    Explain(Explain),
    Status(Status),
    Verify(Verify),
    Remove(Remove),
    Scenes(Scenes),
    Eval(Box<Eval>),
    Reproduce(Reproduce),
    Data(Data),
    Train(Train),
    Model(Model),
    Embed(Embed),
    Doctor(Doctor),
    Config(Config),
    Completions(Completions),
    Docs(Docs),
}

/// See it work: draw a world, put it into a library, ask it questions, show the answers
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut demo                         into ./likebut-demo
  likebut demo --out try --no-page     into ./try, without the page")]
pub struct Demo {
    /// Where scenes, library and page are written
    #[arg(long, value_name = "FOLDER", default_value = "likebut-demo")]
    pub out: PathBuf,
    /// Write no page
    #[arg(long)]
    pub no_page: bool,
    /// Print the marks as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Put pictures and clips into the library
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut add ~/Pictures ~/Movies       everything below these folders
  likebut add --dry-run ~/Pictures      what would be looked at
  likebut add trip.mp4                  one file

Files that are in the library and have not changed are not touched. Ctrl-C is safe; the same
command goes on where it stopped.

Memory: the files in hand and the frames decoded from them take no more than 1 GiB together. One
that needs more is read alone, while the others wait. A picture needs twice its file and for each
pixel from 3 bytes (JPEG) over 12 (WebP) to 32 (TIFF of four floats); a clip needs for each pixel 24
bytes and 3 for each frame that is looked at, and an ffmpeg its own. Beside that stand the model,
what it computes of --batch frames at one time, and frames as it sees them, 3 bytes a pixel: those
of three batches and of two files for each of --jobs.")]
pub struct Add {
    /// Files and folders
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Only list the files that would be looked at
    #[arg(long)]
    pub dry_run: bool,
    /// Try files again that were left out before and have not changed
    #[arg(long)]
    pub retry: bool,
    /// Print the outcome as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Find items that are like a reference, but as the words say
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut find sofa.jpg \"the same, in blue\"
  likebut find beach.mp4@00:41-00:45 \"at night, with a bonfire\"
  likebut find '#12' \"in winter\" --not \"people\" --strength 0.7
  likebut find sofa.jpg \"in blue\" --paths0 | xargs -0 cp -t blue/
  likebut find sofa.jpg - < words.txt")]
pub struct Find {
    /// A file, a part of a clip (clip.mp4@00:41-00:45), or an item of the library (#12)
    #[arg(value_name = "REFERENCE")]
    pub reference: String,
    /// What should be different; - reads it from standard input
    #[arg(value_name = "WORDS", default_value = "", hide_default_value = true)]
    pub words: String,
    /// What the wanted ones should not show
    #[arg(long, value_name = "WORDS")]
    pub not: Option<String>,
    /// Let the reference be an answer too, where it is in the library
    #[arg(long)]
    pub with_reference: bool,
    /// End with code 4 if nothing is found
    #[arg(long)]
    pub fail_on_none: bool,
    /// Also write a page that shows the answers
    #[arg(long, value_name = "FILE")]
    pub page: Option<PathBuf>,
    #[command(flatten)]
    pub format: Format,
}

/// How hits are printed.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct Format {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Print one JSON object per hit and line
    #[arg(long)]
    pub jsonl: bool,
    /// Print paths only, each ended by a NUL byte, for xargs -0
    #[arg(long)]
    pub paths0: bool,
}

/// Show what the method imagined for a question: hits with and without its imagery, and where it looked
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut explain sofa.jpg \"as a birthday party\"                    in lines
  likebut explain '#12' \"in winter\" --page why.html               as one page with pictures
  likebut explain beach.mp4 \"at night\" --png why --json           pictures in a folder, numbers on stdout

IMAGINE takes the prototypes that are nearest to reference and words, and changes the question by them.
Each map shows where the network looked for one prototype, over the frames as the network saw them.")]
pub struct Explain {
    /// A file, a part of a clip (clip.mp4@00:41-00:45), or an item of the library (#12)
    #[arg(value_name = "REFERENCE")]
    pub reference: String,
    /// What should be different; - reads it from standard input
    #[arg(value_name = "WORDS")]
    pub words: String,
    /// Also write a page that shows everything
    #[arg(long, value_name = "FILE")]
    pub page: Option<PathBuf>,
    /// Also write the frames and each map as PNG into a folder
    #[arg(long, value_name = "FOLDER")]
    pub png: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Say what is in the library, and what was left out and why
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut status                how many items, of what kind
  likebut status --failed       what was left out, and why")]
pub struct Status {
    /// List every file that was left out, with its reason
    #[arg(long)]
    pub failed: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Check that the library is whole
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut verify                checksums, and that every item is accounted for")]
pub struct Verify {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Take items out of the library; your files are not touched
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut remove --dry-run ~/Pictures/2019      what would leave the library
  likebut remove ~/Pictures/2019                everything that was added from there
  likebut remove '#12'                          one item")]
pub struct Remove {
    /// Files, folders, or items of the library (#12)
    #[arg(required = true, value_name = "PATH|#ID")]
    pub targets: Vec<String>,
    /// Only say what would leave
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Draw a world: pictures and clips with captions and questions, as real files
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut scenes world                              fifty families of nine scenes, in ./world
  likebut scenes world --test 230 --val 60          the set that figures are quoted on
  likebut scenes world --train 1000 --seed 7        something to learn from

The same numbers give the same world. Complete files are kept when the command runs again.")]
pub struct Scenes {
    /// The folder to write
    #[arg(value_name = "FOLDER")]
    pub out: PathBuf,
    /// Families to be marked on
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub test: u32,
    /// Families to choose settings on
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub val: u32,
    /// Families to learn from
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub train: u32,
    /// The seed that decides everything; the shipped model learnt from the default one's training part
    #[arg(long, value_name = "N", default_value_t = scenes::World::demo().seed)]
    pub seed: u64,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Mark methods on a set of questions
#[derive(Debug, Default, Args)]
#[command(before_help = "Examples:
  likebut eval world                                        all methods, on drawn scenes
  likebut eval --bench fashioniq --root ~/fashionIQ         a published set, as its authors lay it out
  likebut eval --bench fashioniq --root ~/fashionIQ --protocol hud-fashioniq --method imagine,sum
  likebut eval --mine my-triplets.csv                       your own questions
  likebut eval --bench cirr --root ~/cirr --embeddings gallery.npy --queries questions.npy
  likebut eval world --compare imagine,sum --report marks.html
  likebut eval --bench cirr:test --root ~/cirr --method imagine --submit answers
  likebut eval --check-submission answers/imagine/cirr_recall.json --bench cirr:test --root ~/cirr
  likebut eval --run my.trec --qrels judgements.txt         answers that were made elsewhere
  likebut eval world --card marks.json                      for likebut reproduce marks.json

What is missing is left out, named, and said with what it can do to the marks; --strict refuses.")]
pub struct Eval {
    /// A folder with gallery.SPLIT.jsonl and triplets.SPLIT.jsonl
    #[arg(value_name = "FOLDER", required_unless_present_any = ["bench", "mine", "check_submission", "qrels"])]
    pub set: Option<PathBuf>,
    /// Published sets, separated by commas; SET:SPLIT for one part (likebut data check names them)
    #[arg(long, value_name = "SETS", value_delimiter = ',', requires = "root", conflicts_with_all = ["set", "mine"])]
    pub bench: Vec<String>,
    /// Where the set lies; with several sets, the folder that holds one folder for each
    #[arg(long, value_name = "FOLDER")]
    pub root: Option<PathBuf>,
    /// Your own questions: a .jsonl, .csv, .json or .tar
    #[arg(long, value_name = "FILE", conflicts_with = "set")]
    pub mine: Option<PathBuf>,
    /// The rules, by name; each set has its usual ones
    #[arg(long, value_name = "NAME")]
    pub protocol: Option<String>,
    /// Which methods, separated by commas
    #[arg(long = "method", alias = "methods", value_name = "NAMES", value_delimiter = ',')]
    pub methods: Vec<String>,
    /// Which part of the set; each set has its usual one
    #[arg(long, value_name = "SPLIT")]
    pub split: Option<Part>,
    /// Vectors of the gallery that were made elsewhere, by name: .npy, .csv, .jsonl, .safetensors, .pth or a folder
    #[arg(long, value_name = "FILE", requires = "queries")]
    pub embeddings: Option<PathBuf>,
    /// Vectors of the questions that were made elsewhere, by id
    #[arg(long, value_name = "FILE", requires = "embeddings")]
    pub queries: Option<PathBuf>,
    /// Scale imported vectors to length one, so that inner products are cosines
    #[arg(long, requires = "embeddings")]
    pub normalise: bool,
    /// Keep what was encoded here, and go on there after a stop
    #[arg(long, value_name = "FOLDER")]
    pub cache: Option<PathBuf>,
    /// Refuse a set of which anything is missing
    #[arg(long)]
    pub strict: bool,
    /// Two methods: is the difference more than luck?
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub compare: Vec<String>,
    /// Also write the marks, with published ones beside them: .html, .md, .csv, .json or .tex
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Also write a card that `likebut reproduce` runs again
    #[arg(long, value_name = "FILE")]
    pub card: Option<PathBuf>,
    /// Write each method's answers as the set's server wants them (cirr:test, circo:test)
    #[arg(long, value_name = "FOLDER")]
    pub submit: Option<PathBuf>,
    /// Say whether a file keeps the server's rules; nothing is marked
    #[arg(long, value_name = "FILE")]
    pub check_submission: Option<PathBuf>,
    /// Write each method's answers as TREC runs, with the judgements
    #[arg(long, value_name = "FOLDER")]
    pub runs: Option<PathBuf>,
    /// Mark answers that were made elsewhere: a TREC run, or {question: {item: score}} as JSON
    #[arg(long, value_name = "FILE", conflicts_with_all = ["methods", "embeddings", "submit"])]
    pub run: Vec<PathBuf>,
    /// Mark them by these judgements instead of a set's: TREC qrels, or JSON
    #[arg(long, value_name = "FILE", requires = "run", conflicts_with_all = ["set", "bench", "mine"])]
    pub qrels: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Run a result card again and name every digest that differs, or a paper's tables and figures
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut eval world --card marks.json          make a card
  likebut reproduce marks.json                  the same marks here? if not, what differs?
  likebut reproduce imagine --quick             IMAGINE's ablations on fixed features, in minutes
  likebut reproduce imagine --out runs/again    the same with the Q-Former trained, in hours
  likebut reproduce imagine --set cirr --root ~/cirr --from blip2-itm-vit-g-coco
                                                on a set that lies here, as the paper trains
  likebut reproduce imagine --table3            what the head costs at the real model's size

A paper's runs that are there already are not made again; the same command goes on after a stop, and
writes imagine.html, imagine.md and imagine.json into the folder.

On a set, runs are trained as the paper says or, where it is silent, as its siblings' code does (64
questions a batch, eight at a time; rate 1e-5, on CIRR 2e-5; 20 passes), and marked by the protocol
that its numbers follow: hud-fashioniq, cirr, hud-webvid. With a BLIP-2 of the real size that is
work for days; --steps and --train make it less, and no longer the paper's.")]
pub struct Reproduce {
    /// The card, or the word imagine
    #[arg(value_name = "FILE|imagine")]
    pub card: PathBuf,
    /// Where the set lies here; of a card, if not where that says
    #[arg(long, value_name = "FOLDER")]
    pub root: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub course: Course,
}

/// How a paper's runs are made.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "For imagine")]
pub struct Course {
    /// Where runs and report are written
    #[arg(long, value_name = "FOLDER", default_value = "likebut-reproduce")]
    pub out: PathBuf,
    /// Train the head alone, on features made once by the model inside the program
    #[arg(long)]
    pub quick: bool,
    /// Learn from this set and be marked on it, instead of on drawn scenes; --root says where it lies
    #[arg(long, value_name = "NAME", requires = "root")]
    pub set: Option<String>,
    /// A BLIP-2 to begin from, by its name or folder, instead of captions learnt first
    #[arg(long, value_name = "NAME_OR_FOLDER")]
    pub from: Option<String>,
    /// Which variants, separated by commas; all if absent
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub variants: Vec<String>,
    /// Runs of each variant
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub seeds: Option<u32>,
    /// Updates in each run; on a set as many as the paper's passes over it take, if absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub steps: Option<u32>,
    /// Families to learn from; of a set, questions (with --quick groups of four), all if absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub train: Option<u32>,
    /// Families to be marked on; a set is asked whole
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub test: Option<u32>,
    /// Table 3 alone: what the head costs at the real model's size; nothing is trained (3 GB, minutes)
    #[arg(long)]
    pub table3: bool,
    /// Count parameters only; measure no times at the real model's size (they need 3 GB)
    #[arg(long)]
    pub no_times: bool,
}

/// Look at a set of questions before believing a mark
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut data list                                     the sets and protocols that are known
  likebut data check fashioniq --root ~/fashionIQ       what is here, what is missing, what that does to a mark
  likebut data check circo --root ~/circo --split test --names missing.txt")]
pub struct Data {
    /// What to do.
    #[command(subcommand)]
    pub action: DataAction,
}

/// What can be done with sets.
#[derive(Debug, Subcommand)]
pub enum DataAction {
    /// Name the sets and protocols that are known
    List {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Say what of a set is here, what is missing or broken, and what that does to a mark
    Check {
        /// Which set
        #[arg(value_name = "SET")]
        set: String,
        /// Where it lies
        #[arg(long, value_name = "FOLDER")]
        root: PathBuf,
        /// Which part; the set's usual one if unset
        #[arg(long, value_name = "SPLIT")]
        split: Option<Part>,
        /// The rules, by name: they decide what belongs to the gallery
        #[arg(long, value_name = "NAME")]
        protocol: Option<String>,
        /// Write the names of all that is missing or broken, one per line
        #[arg(long, value_name = "FILE")]
        names: Option<PathBuf>,
        /// Also decode the middle frame of everything
        #[arg(long)]
        deep: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// A part of a set.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Part {
    /// To learn from
    Train,
    /// To choose settings on
    Val,
    /// To be marked on
    Test,
}

impl From<Part> for domain::Split {
    fn from(part: Part) -> Self {
        match part {
            Part::Train => Self::Train,
            Part::Val => Self::Val,
            Part::Test => Self::Test,
        }
    }
}

/// Train as a recipe says
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut train recipes/scenes-toy.toml --out runs/toy      begin, or go on after a stop
  likebut eval world --model runs/toy/model                 mark what came out
  likebut train mine.toml --from scenes-toy --out runs/mine where the shipped model ended, not at nothing
  likebut train recipes/shop.toml --out runs/shop           on questions about your own pictures
  likebut train recipes/cirr.toml --from blip2-itm-vit-g-coco --out runs/cirr
  likebut train recipes/vectors-adapter.toml --out runs/va  IMAGINE's head on vectors made elsewhere")]
pub struct Train {
    /// The recipe
    #[arg(value_name = "RECIPE")]
    pub recipe: PathBuf,
    /// Where the run is written; a run that is there already goes on
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// A model to begin from, by its name or folder, instead of random weights (a coarse stage of the recipe
    /// is left out), or, for a recipe with a [set], instead of the model inside the program
    #[arg(long, value_name = "NAME_OR_FOLDER")]
    pub from: Option<String>,
    /// Where to stop
    #[arg(long, value_name = "STAGE", default_value = "imagine")]
    pub until: Until,
    /// Steps between two checkpoints
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub checkpoint_every: usize,
    /// Steps between two looks at the validation part
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub validate_every: usize,
}

/// A stage of training.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Until {
    /// After the backbone has learnt from captions
    Pretrain,
    /// After the method has learnt from questions
    Imagine,
}

/// Bring, list and check models
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut model list                      what there is, and what is on this disk
  likebut model pull bge-vl-base          bring one that knows photographs (asks first)
  likebut add ~/Pictures --model bge-vl-base")]
pub struct Model {
    /// What to do with them.
    #[command(subcommand)]
    pub action: ModelAction,
}

/// What can be done with models.
#[derive(Debug, Subcommand)]
pub enum ModelAction {
    List(ModelList),
    Show(ModelShow),
    Pull(ModelPull),
    Import(ModelImport),
    Convert(ModelConvert),
    Verify(ModelVerify),
    Measure(ModelMeasure),
    Remove(ModelRemove),
}

/// Say which models there are, and which are on this disk
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut model list")]
pub struct ModelList {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Say everything about one model
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut model show bge-vl-base          a known one, here or not
  likebut model show runs/toy/model       one that training wrote
  likebut model show ./covr2.ckpt         a checkpoint of LAVIS' or CoVR-2's, as it lies")]
pub struct ModelShow {
    /// Its name, or its folder
    #[arg(value_name = "NAME_OR_FOLDER", default_value = "")]
    pub model: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Bring a published model to this disk; shows its licence and asks first
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut model pull bge-vl-base                    shows licence and size, and asks
  likebut model pull bge-vl-base --yes              for scripts
  likebut model pull owner/name --revision v1.0     one that is not in the table

It goes into the cache that all tools of the Hugging Face hub share (HF_HOME, HF_HUB_CACHE), from
there or from a mirror (HF_ENDPOINT), as you or as nobody (HF_TOKEN), and never with
HF_HUB_OFFLINE=1. Ctrl-C keeps what came; the same command goes on.")]
pub struct ModelPull {
    /// A name from the table, or OWNER/NAME
    #[arg(value_name = "NAME")]
    pub model: String,
    /// A branch, a tag or a commit
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,
    /// Accept the licence that is shown
    #[arg(short, long)]
    pub yes: bool,
    /// Only say what would be fetched
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Give a model that you have a name; its files are linked, not copied
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut model import ~/models/my-clip                        a folder from a hub or from training
  likebut model import blip2_finetune_coco.pth --name lavis    one checkpoint, with the words beside it")]
pub struct ModelImport {
    /// A folder or a checkpoint
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// What it is to be called; made from the path if not given
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Copy the files, so that the original may go
    #[arg(long)]
    pub copy: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Write weights as safetensors, under the names of another library; no number changes
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut model convert blip2_finetune_coco.pth --names transformers --out model.safetensors
  likebut model convert blip2-itm-vit-g --names lavis --out lavis.safetensors
  likebut model convert clip-l14 --names transformers --out model.safetensors
  likebut model convert old.ckpt --out new.safetensors      the same names, another kind of file

PyTorch's files are read without running anything that is in them.")]
pub struct ModelConvert {
    /// A name, a folder, or a checkpoint
    #[arg(value_name = "NAME_OR_PATH")]
    pub model: String,
    /// Whose names are written: for BLIP-2 lavis or transformers, for CLIP openclip or transformers
    #[arg(long, value_name = "WHOSE", default_value = "same")]
    pub names: Names,
    /// The file to write, which ends in .safetensors
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Whose names tensors have.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Names {
    /// Those that they have
    Same,
    /// LAVIS', and so CoVR-2's
    Lavis,
    /// OpenCLIP's, and so OpenAI's
    Openclip,
    /// Those of Hugging Face's transformers
    Transformers,
}

/// Read every byte of models and hold it against what was announced
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut model verify                    all that are here
  likebut model verify bge-vl-base        one")]
pub struct ModelVerify {
    /// Names; all that are here if none is given
    #[arg(value_name = "NAME")]
    pub models: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Measure how fast models are on this machine; `likebut model list` then shows it
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut model measure                   all that are here
  likebut model measure bge-vl-base       one")]
pub struct ModelMeasure {
    /// Names or folders; all that are here if none is given
    #[arg(value_name = "NAME")]
    pub models: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Take a model from this disk; files that you imported stay where they are
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut model remove --dry-run bge-vl-base      what would go
  likebut model remove bge-vl-base                it goes, from the shared cache too")]
pub struct ModelRemove {
    /// Its name
    #[arg(value_name = "NAME")]
    pub model: String,
    /// Only say what would go
    #[arg(long)]
    pub dry_run: bool,
    /// Delete from the shared cache what another program brought
    #[arg(long)]
    pub shared: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Turn files, words and questions into vectors
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut embed photo.jpg clip.mp4 --out vectors.npy
  likebut embed --text \"a red sofa\" sofa.jpg --json
  likebut embed --reference sofa.jpg --words \"in blue\" --method sum --out question.safetensors

One row per input, in the order given. What cannot be read is a row of NaN (null in JSON), is listed
with its reason, and the command ends with code 3.")]
pub struct Embed {
    /// What is turned into vectors.
    #[command(flatten)]
    pub inputs: Inputs,
    /// What the wanted ones should not show, for every question
    #[arg(long, value_name = "WORDS", requires = "reference")]
    pub not: Option<String>,
    /// Write a file that ends in .npy or .safetensors
    #[arg(long, value_name = "FILE", required_unless_present = "json", conflicts_with = "json")]
    pub out: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The inputs of `embed`, in the order in which they were typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs(pub Vec<Input>);

/// One input of `embed`.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A picture, a clip, or a part of a clip.
    File(String),
    /// Words alone.
    Text(String),
    /// A reference and what should be different.
    Question {
        /// As `find` takes it.
        reference: String,
        /// As `find` takes them.
        words: String,
    },
}

impl Args for Inputs {
    fn augment_args(command: clap::Command) -> clap::Command {
        let many = |id: &'static str, value: &'static str, help: &'static str| {
            Arg::new(id).long(id).value_name(value).help(help).action(ArgAction::Append)
        };
        command
            .arg(
                Arg::new("files")
                    .value_name("FILE")
                    .help("Pictures, clips, or parts of clips (clip.mp4@00:41-00:45)")
                    .action(ArgAction::Append)
                    .num_args(0..)
                    .required_unless_present_any(["text", "reference"]),
            )
            .arg(many("text", "WORDS", "Words alone; may be given again"))
            .arg(many("reference", "FILE", "The reference of a question; may be given again").requires("words"))
            .arg(many("words", "WORDS", "What should be different, one for each reference").requires("reference"))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Inputs {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let of = |id: &str| -> Vec<(usize, String)> {
            let values = matches.get_many::<String>(id).into_iter().flatten().cloned();
            matches.indices_of(id).into_iter().flatten().zip(values).collect()
        };
        let (references, words) = (of("reference"), of("words"));
        if references.len() != words.len() {
            let what = format!("{} --reference and {} --words: each needs the other\n", references.len(), words.len());
            return Err(clap::Error::raw(clap::error::ErrorKind::WrongNumberOfValues, what));
        }
        let mut all: Vec<(usize, Input)> = of("files").into_iter().map(|(i, f)| (i, Input::File(f))).collect();
        all.extend(of("text").into_iter().map(|(i, t)| (i, Input::Text(t))));
        let questions = references.into_iter().zip(words);
        all.extend(questions.map(|((i, reference), (_, words))| (i, Input::Question { reference, words })));
        all.sort_by_key(|(i, _)| *i);
        Ok(Self(all.into_iter().map(|(_, input)| input).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Say what this machine and this installation can do
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut doctor                versions, processor, memory, ffmpeg, library, model")]
pub struct Doctor {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Show the settings
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut config show --origin      every setting, its value, and where that came from")]
pub struct Config {
    /// What to do with them.
    #[command(subcommand)]
    pub action: ConfigAction,
}

/// What can be done with the settings.
#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// Print every setting and its value
    Show {
        /// Say where each value came from
        #[arg(long)]
        origin: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Print a completion script
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut completions bash > ~/.local/share/bash-completion/completions/likebut
  likebut completions zsh > ~/.zfunc/_likebut
  likebut completions fish > ~/.config/fish/completions/likebut.fish")]
pub struct Completions {
    /// For which shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// Print the manual
#[derive(Debug, Args)]
#[command(before_help = "Examples:
  likebut docs man | man -l -             read it here
  likebut docs markdown                   the reference of commands, settings and exit codes")]
pub struct Docs {
    /// In which form
    #[arg(value_name = "FORM")]
    pub form: DocsForm,
}

/// The forms that the manual has.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum DocsForm {
    /// A man page
    Man,
    /// Markdown
    Markdown,
}

/// Examples come before everything else.
const TEMPLATE: &str = "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

/// The whole definition, with the flags of the settings table.
pub fn command() -> clap::Command {
    with_settings(Cli::command())
}

fn with_settings(mut command: clap::Command) -> clap::Command {
    command = command.help_template(TEMPLATE).subcommand_required(true).arg_required_else_help(true);
    let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(&name, |sub| {
            // What is said of a command that has commands of its own is said of those.
            let nested = sub.has_subcommands();
            let flags = SETTINGS.iter().filter(|s| s.is_read_by(&name)).map(|s| {
                let help = match s.default {
                    "" => s.sentence.to_owned(),
                    default => format!("{} [default: {default}]", s.sentence),
                };
                Arg::new(s.key)
                    .long(s.flag())
                    .value_name(s.value)
                    .help(help)
                    .help_heading(if s.commands.is_empty() { "Everywhere" } else { "Settings" })
                    .global(nested)
                    .action(ArgAction::Set)
                    // A negative number is a bad value, to be refused as such, not another flag.
                    .allow_hyphen_values(s.key == "strength")
            });
            let flags = flags.map(|arg| match SETTINGS.iter().find(|s| arg.get_id() == s.key).and_then(|s| s.short) {
                Some(letter) => arg.short(letter),
                None => arg,
            });
            let flags: Vec<Arg> = flags.collect();
            let inner: Vec<String> = sub.get_subcommands().map(|c| c.get_name().to_owned()).collect();
            let sub = sub.help_template(TEMPLATE).args(flags);
            inner.iter().fold(sub, |sub, name| sub.mut_subcommand(name, |c| c.help_template(TEMPLATE)))
        });
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::FromArgMatches as _;

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn examples_come_first_and_every_command_has_some() {
        let mut command = command();
        command.build();
        for sub in command.get_subcommands_mut().filter(|s| s.get_name() != "help") {
            let help = sub.render_help().to_string();
            let (examples, usage) = (help.find("Examples:"), help.find("Usage:"));
            assert!(examples.is_some() && examples < usage, "{help}");
        }
        assert!(command.render_help().to_string().contains("130  stopped by Ctrl-C"));
    }

    /// Else who follows README.md from its first command to its last has his own pictures among the project's files,
    /// and the checks complain of them.
    #[test]
    fn git_ignores_what_readmes_commands_write_here() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let [readme, ignored] = ["README.md", ".gitignore"].map(|f| std::fs::read_to_string(root.join(f)).expect(f));
        let command = command();
        let out = command.find_subcommand("demo").and_then(|c| c.get_arguments().find(|a| a.get_id() == "out"));
        let mut folders = vec![out.expect("demo has --out").get_default_values()[0].to_str().expect("a name")];
        for line in readme.lines().filter_map(|l| l.strip_prefix("$ likebut ")) {
            let mut words = line.split_whitespace();
            if words.any(|w| w == "scenes" || w == "--out") {
                folders.push(words.next().and_then(|f| f.split('/').next()).expect("a folder"));
            }
        }
        assert!(folders.len() > 3, "{folders:?}");
        for folder in folders {
            assert!(ignored.lines().any(|l| l == format!("/{folder}")), "`/{folder}` is not in .gitignore");
        }
    }

    #[test]
    fn inputs_keep_the_order_in_which_they_were_typed() {
        let inputs = |args: &[&str]| {
            let matches = command().try_get_matches_from([&["likebut", "embed", "--json"], args].concat())?;
            Inputs::from_arg_matches(matches.subcommand().expect("it was typed").1).map(|i| i.0)
        };
        let file = |f: &str| Input::File(f.into());
        let question = Input::Question { reference: "r.png".into(), words: "in blue".into() };
        assert_eq!(
            inputs(&["a.png", "--text", "x", "b.png", "--words", "in blue", "--reference", "r.png", "c.png"]).unwrap(),
            [file("a.png"), Input::Text("x".into()), file("b.png"), question, file("c.png")]
        );
        for bad in [&[][..], &["--reference", "r.png"], &["--reference", "r", "--reference", "s", "--words", "x"]] {
            assert!(inputs(bad).is_err(), "{bad:?}");
        }
    }
}
