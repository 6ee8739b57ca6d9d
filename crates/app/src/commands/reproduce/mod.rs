//! `likebut reproduce imagine`: a paper's tables and figures again.

mod cases;
mod markdown;
mod page;
mod plot;

use std::path::Path;

use benchmarks::{Estimate, Mark, preset};
use cases::{Cases, cases};
use serde_json::json;
use train::reproduce::{
    Cost, Course, Data, Group, Line, Runs, Spread, Summary, averaged, cost, imagine, printed, printed_of, summary,
};
use train::{Pauses, Recipe, Run, Stage, run::Ended};

use crate::cli;
use crate::commands::eval;
use crate::context::{Context, print_json};
use crate::exit::{Exit, Failure, nearest};
use crate::interrupt;
use crate::models;
use crate::paths::{shown, text};
use crate::settings::Origin;
use crate::shelf::{Meant, Shelf};
use crate::stages::Stages;

/// The recipe whose captions the full course begins from.
const RECIPE: &str = include_str!("../../../../../recipes/imagine-ablations.toml");

/// All that the report is made of.
pub struct Findings {
    /// The runs.
    pub runs: Runs,
    /// Side by side.
    pub summary: Summary,
    /// Table 3.
    pub cost: Cost,
    /// The command that makes all of it again.
    pub command: String,
    /// Questions that one of the two answers, the full method or the one without prototypes, and the other does not.
    pub cases: Cases,
}

/// Runs what was asked for.
pub fn run(typed: &cli::Course, root: Option<&Path>, context: &Context) -> Result<Exit, Failure> {
    unread(context)?;
    if typed.table3 {
        return table_3(typed, context);
    }
    if let (None, Some(_)) = (&typed.set, root) {
        let failure = Failure::usage("drawn scenes lie nowhere; --root is of a set");
        return Err(failure.hint("name the set with --set, or leave --root out"));
    }
    let data = match (&typed.set, root) {
        (Some(name), Some(root)) => Data::Set(eval::sets::known(name)?, root),
        _ => Data::Scenes,
    };
    let mut course = match data {
        _ if typed.quick => Course::quick(),
        Data::Scenes => Course::full(),
        Data::Set(set, _) => Course::paper(set),
    };
    if let Some(n) = typed.seeds {
        course.seeds = (1..=u64::from(n)).collect();
    }
    if let Some(n) = typed.steps {
        (course.training.steps, course.passes) = (n as usize, None);
    }
    if let Data::Set(set, _) = data {
        if !typed.quick && typed.from.is_none() {
            let failure = Failure::usage("captions of drawn scenes are no beginning for photographs");
            return Err(
                failure.hint("--from NAME_OR_FOLDER begins from a model; --quick from the one inside the program")
            );
        }
        if !set.splits.contains(&domain::Split::Train) {
            return Err(Failure::usage(format!("{} has no questions to learn from", set.name)));
        }
        if typed.test.is_some() {
            return Err(Failure::usage("--test counts families of scenes; a set is asked whole"));
        }
        course.train = usize::MAX;
    }
    course.train = typed.train.map_or(course.train, |n| n as usize);
    course.test = typed.test.map_or(course.test, |n| n as usize);
    if course.train < course.training.families {
        let need = course.training.families;
        return Err(Failure::usage(format!("a batch takes {need} families, the world has {}", course.train)));
    }
    for name in &typed.variants {
        if methods::imagine::variant(name).is_none() {
            let all = methods::imagine::VARIANTS.iter().map(|v| v.name);
            let failure = Failure::usage(format!("there is no variant {name:?}"));
            return Err(match nearest(name, all) {
                Some(meant) => failure.hint(format!("did you mean {meant:?}?")),
                None => failure,
            });
        }
    }
    std::fs::create_dir_all(&typed.out)
        .map_err(|e| Failure::from(e).about(format!("cannot make the folder {}", shown(&typed.out))))?;
    let again = command(typed, Some((typed.out.as_path(), root)));

    let mut stages = Stages::new(context);
    let mut tell = |p| stages.tell(p);
    let begun_from = match (&typed.from, typed.quick) {
        (Some(name), _) => Shelf::open().find(name)?,
        (None, true) => Meant::Inside,
        (None, false) => {
            // The full course begins where captions end, as the paper begins from BLIP-2.
            let recipe = Recipe::parse(RECIPE)?;
            let dir = typed.out.join("backbone");
            let pauses = Pauses { checkpoint: 50, validate: 500 };
            let run = Run { dir: &dir, until: Stage::Pretrain, pauses, from: None };
            if train::follow(&recipe, &run, &mut tell, &interrupt::requested)? != Ended::Done {
                context.say(format!("stopped; to go on: {again}"));
                return Ok(Exit::Interrupted);
            }
            Meant::Here { name: recipe.name, folder: dir.join("pretrained") }
        }
    };
    let (model, _) = models::load(&begun_from, &nets::cpu())?;
    let runs = imagine(&typed.out, model, &course, data, &typed.variants, &mut tell, &interrupt::requested)?;
    drop(stages);
    let Some(runs) = runs else {
        context.say(format!("stopped; what was run is kept; to go on: {again}"));
        return Ok(Exit::Interrupted);
    };
    context.say("measuring what the head costs at the real model's size");
    let cost = cost((!typed.no_times).then_some(&|work| crate::MEMORY.most_during(work)));
    let findings =
        Findings { summary: summary(&runs), cases: cases(&runs)?, cost, command: command(typed, None), runs };
    let value = json(&findings);
    let files = [
        ("imagine.json", format!("{value:#}\n")),
        ("imagine.md", markdown::report(&findings)),
        ("imagine.html", page::report(&findings)),
    ];
    for (name, text) in files {
        write(&typed.out.join(name), &text)?;
    }
    let report = typed.out.join("imagine.html");
    print_json(
        json!({"report": text(&report), "runs": findings.runs.outcomes.len(), "left_out": findings.runs.left_out,
        "broken": findings.runs.broken}),
    )?;
    for (name, why) in &findings.runs.broken {
        context.say(format!("left out: {name}: {why}"));
    }
    context.say(format!("the report lies in {}", shown(&report)));
    Ok(if findings.runs.broken.is_empty() { Exit::Ok } else { Exit::Skipped })
}

/// What other commands do with a model, and what is not done here: training is the processor's, and a model is
/// begun from, not asked.
fn unread(context: &Context) -> Result<(), Failure> {
    for (setting, value, origin) in context.settings.iter() {
        match (setting.key, origin) {
            ("device", _) if value != "cpu" => {
                let failure = Failure::usage(format!(
                    "device ({origin}) is {value:?}, but a paper's runs are trained on the CPU"
                ));
                return Err(failure.hint("to train there: --device cpu"));
            }
            ("model", Origin::Flag(_)) => {
                let failure =
                    Failure::usage("--model says what answers a card's questions; a paper's runs train their own");
                return Err(failure.hint("to begin them from a model: --from NAME_OR_FOLDER"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Table 3 alone, without any training.
fn table_3(typed: &cli::Course, context: &Context) -> Result<Exit, Failure> {
    std::fs::create_dir_all(&typed.out)
        .map_err(|e| Failure::from(e).about(format!("cannot make the folder {}", shown(&typed.out))))?;
    context.say("measuring what the head costs at the real model's size");
    let cost = cost((!typed.no_times).then_some(&|work| crate::MEMORY.most_during(work)));
    let machine = crate::machine::machine();
    let value = json!({"likebut": crate::JSON_VERSION, "command": TABLE_3, "cost": cost, "machine": machine});
    let report = typed.out.join("imagine-cost.md");
    write(&typed.out.join("imagine-cost.json"), &format!("{value:#}\n"))?;
    write(&report, &markdown::cost_report(&cost, TABLE_3, &machine))?;
    print_json(json!({"report": text(&report), "cost": cost}))?;
    Ok(Exit::Ok)
}

/// What is typed for Table 3.
const TABLE_3: &str = "likebut reproduce imagine --table3";

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|e| Failure::from(e).about(format!("cannot write {}", shown(path))))
}

/// What was typed; without what lies only here, or, to be typed again, with the folders of the runs and of the set.
fn command(typed: &cli::Course, here: Option<(&Path, Option<&Path>)>) -> String {
    let mut out = String::from("likebut reproduce imagine");
    if typed.quick {
        out.push_str(" --quick");
    }
    if let Some(set) = &typed.set {
        out.push_str(&format!(" --set {set} --root {}", here.and_then(|(_, root)| root).map_or("…".into(), shown)));
    }
    if let Some(from) = &typed.from {
        out.push_str(&format!(" --from {}", here.map_or("…", |_| from)));
    }
    for (flag, value) in [("seeds", typed.seeds), ("steps", typed.steps), ("train", typed.train), ("test", typed.test)]
    {
        if let Some(value) = value {
            out.push_str(&format!(" --{flag} {value}"));
        }
    }
    if !typed.variants.is_empty() {
        out.push_str(&format!(" --variants {}", typed.variants.join(",")));
    }
    if let Some((folder, _)) = here {
        out.push_str(if typed.no_times { " --no-times" } else { "" });
        out.push_str(&format!(" --out {}", shown(folder)));
    }
    out
}

/// The numbers, for programs.
fn json(f: &Findings) -> serde_json::Value {
    json!({
        "likebut": crate::JSON_VERSION,
        "command": f.command,
        "data": f.runs.data,
        "course": f.runs.course,
        "model": f.runs.model,
        "weights": f.runs.model_weights,
        "questions": f.runs.questions.len(),
        "gallery": f.runs.gallery.len(),
        "asked": f.runs.asked,
        "protocol": f.runs.protocol,
        "notes": f.runs.notes,
        "cost": f.cost,
        "variants": f.summary.lines,
        "left_out": f.runs.left_out,
        "broken": f.runs.broken,
        "machine": crate::machine::machine(),
    })
}

/// The exhibits in the report's order: its key, its title, and what is plotted along it.
pub const EXHIBITS: &[(&str, &str)] = &[
    ("table 4", "Table 4: which loss carries what"),
    ("figure 3", "Figure 3: schema-imagery construction"),
    ("figure 4", "Figure 4: imagery-guided composition"),
    ("figure 5", "Figure 5: dual-space alignment"),
    ("table 5", "Table 5: momentum μ"),
    ("figure 6", "Figure 6: how many prototypes (k), how much schema loss (λ)"),
    (CHOICES_KEY, "What the paper leaves open"),
];

/// A setting's values and the variants that have them.
type Values = &'static [(f64, &'static str)];

/// What is varied along a line: the exhibit, the setting, its values.
pub const SWEEPS: &[(&str, &str, Values)] = &[
    (
        "table 5",
        "momentum μ",
        &[
            (0.0, "without-momentum"),
            (0.4, "momentum-0.4"),
            (0.5, "momentum-0.5"),
            (0.6, "momentum-0.6"),
            (0.8, "momentum-0.8"),
            (0.9, "full"),
            (1.0, "static"),
        ],
    ),
    (
        "figure 6",
        "prototypes taken, k",
        &[(1.0, "top-1"), (5.0, "top-5"), (10.0, "full"), (15.0, "top-15"), (20.0, "top-20"), (32.0, "without-top-k")],
    ),
    (
        "figure 6",
        "weight of the schema loss, λ",
        &[
            (0.0, "without-schema"),
            (0.1, "schema-0.1"),
            (0.3, "schema-0.3"),
            (0.5, "full"),
            (0.7, "schema-0.7"),
            (1.0, "schema-1"),
        ],
    ),
];

/// The lines of an exhibit; nothing where none but the full method was run. Along a setting they are in the order
/// of its values, elsewhere in the paper's.
pub fn lines<'f>(f: &'f Findings, exhibit: &str) -> Vec<&'f Line> {
    let mut lines: Vec<&Line> = f.summary.lines.iter().filter(|l| l.stands_in(exhibit)).collect();
    let along = || SWEEPS.iter().filter(|s| s.0 == exhibit).flat_map(|s| s.2);
    lines.sort_by_key(|l| along().position(|(_, name)| *name == l.variant));
    if lines.len() < 2 { Vec::new() } else { lines }
}

/// Runs of a variant from which on a difference is called one: the interval is over questions, and says
/// nothing of what another seed would have done.
const SEEDS: usize = 3;

/// The exhibit of what the paper leaves open.
const CHOICES_KEY: &str = "choices";

/// What a variant's interval says against the full method, in words.
pub fn verdict(line: &Line, less: Option<Estimate>) -> &'static str {
    match less {
        None => "",
        Some(_) if line.seeds < SEEDS => "too few seeds",
        Some(e) if e.high < 0.0 => "below full",
        Some(e) if e.low > 0.0 => "above full",
        Some(_) => "no difference shown",
    }
}

/// What the report is about.
pub fn title(f: &Findings) -> String {
    format!("IMAGINE on {}: the paper's tables and figures again", f.runs.data)
}

/// What the average is over: `R@1, 5, 10, 50`, `R@1, 5, 10, 50 and R_subset@1, 2, 3`.
pub fn average_of(data: &str) -> String {
    let mut kinds: Vec<(String, String)> = Vec::new();
    for text in averaged(data).iter().map(Mark::to_string) {
        let (kind, k) = text.split_once('@').unwrap_or((&text, ""));
        match kinds.last_mut() {
            Some((last, ks)) if last == kind => ks.push_str(&format!(", {k}")),
            _ => kinds.push((kind.to_owned(), k.to_owned())),
        }
    }
    kinds.iter().map(|(kind, ks)| format!("{kind}@{ks}")).collect::<Vec<_>>().join(" and ")
}

/// What stands of each variant in a table, beside its name and what it changes: title and cell.
pub type Column = (&'static str, fn(&Findings, &Line) -> String);

/// The columns: where explicit and implied questions are told apart they stand apart, and implied ones
/// decide, for which the paper's SIC is made. Of choices the paper has no numbers; whether one of them makes SIC
/// help stands there instead.
pub fn columns(f: &Findings, exhibit: &str) -> &'static [Column] {
    const PAPER: [Column; 3] = [
        ("paper: WebVid", |_, l| number(l.paper[2])),
        ("paper: FashionIQ R@10", |_, l| number(l.paper[0])),
        ("paper: CIRR", |_, l| number(l.paper[3])),
    ];
    const SCENES: &[Column] = &[
        ("average, all", |_, l| mark(l, 0, |g| g.average)),
        ("R@1 explicit", |_, l| mark(l, 1, |g| g.r1)),
        ("R@1 implied", |_, l| mark(l, 2, |g| g.r1)),
        ("R@1 implied less full", |_, l| gap(implied(l))),
        ("", |_, l| verdict(l, implied(l)).into()),
        PAPER[0],
        PAPER[1],
        PAPER[2],
    ];
    const CHOICES: &[Column] = &[
        SCENES[0],
        SCENES[1],
        SCENES[2],
        SCENES[3],
        SCENES[4],
        ("R@1 implied less without-sic", |_, l| gap(bare(l))),
        ("", |_, l| beside_bare(l).into()),
    ];
    const SET: &[Column] = &[
        ("average", |_, l| mark(l, 0, |g| g.average)),
        ("R@1", |_, l| mark(l, 0, |g| g.r1)),
        ("average less full", |_, l| gap(overall(l))),
        ("", |_, l| verdict(l, overall(l)).into()),
        ("paper, average", |f, l| number(printed(f.runs.data, &l.paper))),
    ];
    match told_apart(f) {
        true if exhibit == CHOICES_KEY => CHOICES,
        true => SCENES,
        false => SET,
    }
}

/// Whether explicit and implied questions are told apart.
fn told_apart(f: &Findings) -> bool {
    f.runs.questions.iter().any(|q| q.change.is_some())
}

/// How far the paper's numbers beside ours are of the same questions and rules.
fn beside(f: &Findings) -> String {
    let (data, of) = (f.runs.data, printed_of(f.runs.data));
    if printed(data, &[Some(0.0); 4]).is_none() {
        return format!("The paper has no numbers on {data}.");
    }
    let other = match data {
        "scenes" => return format!("The paper's averages are of {of}: what can be compared is their order."),
        "cirr" => {
            "; the paper's are of the part whose answers only the official server has, ours of the val split (inferred: \
                   its code's authors mark there)"
        }
        _ => "",
    };
    let inferred = preset(&f.runs.protocol.name).map_or("", |p| p.inferred);
    let inferred = if inferred.is_empty() { String::new() } else { format!(" (inferred: {inferred})") };
    format!("The paper's numbers on {of} are by the same rules{inferred}{other}.")
}

fn implied(l: &Line) -> Option<Estimate> {
    l.groups.get(2)?.r1_less_full
}

fn bare(l: &Line) -> Option<Estimate> {
    l.groups.get(2)?.r1_less_without_sic
}

/// What a line's interval says against the method without SIC.
fn beside_bare(l: &Line) -> &'static str {
    match verdict(l, bare(l)) {
        "below full" => "below without-sic",
        "above full" => "above without-sic",
        other => other,
    }
}

fn overall(l: &Line) -> Option<Estimate> {
    l.groups.first()?.average_less_full
}

fn mark(l: &Line, group: usize, of: fn(&Group) -> Spread) -> String {
    l.groups.get(group).map_or("–".into(), |g| markdown::spread(of(g)))
}

fn gap(e: Option<Estimate>) -> String {
    e.map_or("–".into(), |e| format!("{:+.2} ({:+.2} to {:+.2})", e.value, e.low, e.high))
}

fn number(value: Option<f32>) -> String {
    value.map_or("–".into(), |v| format!("{v:.2}"))
}

/// Lines that say plainly what came out.
pub fn said(f: &Findings) -> Vec<String> {
    let mut out = Vec::new();
    let point = |e: Estimate| format!("{:+.2} points ({:+.2} to {:+.2})", e.value, e.low, e.high);
    for (group, i) in [("all", 0), ("explicit", 1), ("implied", 2)] {
        let line = f.summary.find("without-sic");
        let asked = |l: &Line| l.groups.get(i).is_some_and(|g| g.questions > 0);
        let less = line.filter(|l| asked(l)).and_then(|l| l.groups.get(i)?.r1_less_full);
        if let (Some(line), Some(e)) = (line, less) {
            let what = match verdict(line, Some(e)) {
                "too few seeds" => "of fewer than three seeds nothing is said",
                "below full" => "SIC helps here, and the interval excludes zero",
                "above full" => "SIC hurts here, and the interval excludes zero",
                _ => "no effect of SIC is shown",
            };
            out.push(format!("Without SIC, R@1 on {group} questions is {} from the full method: {what}.", point(e)));
        }
    }
    for (key, title) in EXHIBITS {
        let order = f.summary.agreement(key);
        if order.pairs > 0 {
            let title = title.split(':').next().unwrap_or(title);
            let alike = order.pairs - order.differ.len();
            let others: Vec<String> = order.differ.iter().map(|[high, low]| format!("{high} above {low}")).collect();
            let others = match others.is_empty() {
                true => String::new(),
                false => format!("; the paper alone has {}", others.join(", ")),
            };
            out.push(format!(
                "{title}: of {} pairs whose average the paper prints, {alike} stand here in the paper's order{others}.",
                order.pairs
            ));
        }
    }
    let choices: Vec<&Line> =
        f.summary.lines.iter().filter(|l| l.exhibit == CHOICES_KEY && bare(l).is_some()).collect();
    if !choices.is_empty() {
        let above: Vec<String> = choices
            .iter()
            .filter(|l| beside_bare(l) == "above without-sic")
            .map(|l| format!("{} ({})", l.variant, gap(bare(l))))
            .collect();
        let above = if above.is_empty() { "none".into() } else { above.join(", ") };
        out.push(format!(
            "Of {} variants of what the paper leaves open, these mark more on implied questions than the method without SIC, with an \
             interval that excludes zero: {above}. By luck alone one in forty would.",
            choices.len()
        ));
    }
    let collapsed: Vec<String> = f
        .summary
        .lines
        .iter()
        .filter_map(|l| l.likeness.filter(|x| *x > 0.95).map(|x| format!("{} ({x:.2})", l.variant)))
        .collect();
    if !collapsed.is_empty() {
        out.push(format!("Libraries that came together (mean pairwise cosine above 0.95): {}.", collapsed.join(", ")));
    }
    out
}

/// How many questions SIC decides, either way, in two sentences.
pub fn decided(f: &Findings) -> String {
    let Cases { of, won, lost, .. } = f.cases;
    let which = if told_apart(f) { "implied questions" } else { "questions" };
    format!(
        "Of {of} {which} the full method answers {won} with every seed that the one without SIC answers with none, and the one without \
         SIC {lost} the other way round. Where few are decided, some that both answer are shown for what was imagined."
    )
}

/// How the runs were made, in a sentence or two.
pub fn how(f: &Findings) -> Vec<String> {
    let c = &f.runs.course;
    let what = match c.training.learns {
        train::compose::Learns::Head => {
            "adapter mode: the backbone is frozen, its composed feature has been trained before (with the full method, where the model \
             inside the program was begun from), and only SIC, fusion and modulation learn. What a variant does to the Q-Former \
             cannot show here, so a small or missing difference says nothing about the paper, which trains it"
        }
        train::compose::Learns::QFormer => {
            "the Q-Former, its queries and projections and the head learn, as in the paper; the vision transformer is frozen"
        }
    };
    let groups = if told_apart(f) { "families" } else { "groups of questions" };
    let mut out = vec![
        format!("{what}."),
        format!(
            "{} steps of {} × {} triplets at peak rate {}, {} {groups} to learn from, seeds {}.",
            c.training.steps,
            c.training.families,
            c.training.triplets,
            c.training.rate,
            c.train,
            c.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
        ),
        format!(
            "Begun from {} (weights {}); {} questions on galleries of {} items in all, {}, that nothing was chosen on \
             (digest {}). The average is of {}.",
            f.runs.model,
            f.runs.model_weights.short(),
            f.runs.questions.len(),
            f.runs.gallery.len(),
            f.runs.data,
            f.runs.asked.short(),
            average_of(f.runs.data),
        ),
        format!("Marked by {}. {}", f.runs.protocol, beside(f)),
        "Values are means over seeds with 95 % intervals (Student's t over seeds); differences are paired by question, \
         with 95 % bootstrap intervals over questions."
            .into(),
        format!(
            "Machine: {}. Half of the {} runs trained for less than {}; all of them, by each one's own clock, for {}, as many at a time \
             as there are processors (four at most) and memory.",
            crate::machine::machine(),
            f.runs.outcomes.len(),
            lasted(usual_secs(f)),
            lasted(f.runs.outcomes.iter().map(|o| o.secs).sum()),
        ),
    ];
    out.extend(f.runs.notes.iter().map(|note| format!("Of the set's files: {note}.")));
    out
}

/// Variants, files and questions that are not in the numbers, with the reason.
pub fn left_out(f: &Findings) -> Vec<String> {
    let variants = f.runs.left_out.iter().map(|(name, why)| format!("{name}: {why}."));
    variants.chain(f.runs.broken.iter().map(|(name, why)| format!("{name}: {why}"))).collect()
}

fn lasted(secs: f64) -> String {
    crate::progress::duration(std::time::Duration::from_secs_f64(secs))
}

/// The median: a run that was paused, or shared the machine, says nothing of the others.
fn usual_secs(f: &Findings) -> f64 {
    let mut secs: Vec<f64> = f.runs.outcomes.iter().map(|o| o.secs).collect();
    secs.sort_by(f64::total_cmp);
    secs.get(secs.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use methods::imagine::variant;

    #[test]
    fn every_value_of_a_setting_stands_in_its_exhibit() {
        for (exhibit, setting, values) in SWEEPS {
            assert!(values.is_sorted_by(|a, b| a.0 < b.0), "{setting}");
            for (value, name) in *values {
                let v = variant(name).unwrap_or_else(|| panic!("there is no variant {name}"));
                assert!(
                    ["full", exhibit].contains(&v.exhibit) || v.also.contains(exhibit),
                    "{setting} = {value}: {name}"
                );
                let mut c = methods::imagine::Config::default();
                (v.set)(&mut c);
                let taken = if c.selection == methods::imagine::Selection::All { c.prototypes } else { c.top_k };
                let has = [f64::from(c.momentum), taken as f64, f64::from(c.schema_weight)];
                assert!(has.iter().any(|has| (has - value).abs() < 1e-6), "{setting} = {value}: {name} has {has:?}");
            }
        }
    }

    #[test]
    fn averages_are_told_as_papers_write_them() {
        assert_eq!(average_of("scenes"), "R@1, 5, 10, 50");
        assert_eq!(average_of("cirr"), "R@1, 5, 10, 50 and R_subset@1, 2, 3");
    }
}
