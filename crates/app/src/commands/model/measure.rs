//! `likebut model measure`: how fast models are on this machine.

use std::time::Instant;

use serde_json::json;

use crate::cli;
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::interrupt;
use crate::models;
use crate::paint::printable;
use crate::shelf::{INSIDE, Meant, Shelf};
use crate::speed::{Speed, Speeds, machine};

/// Loads one after the other, lets it work for a moment, writes down what came out.
pub fn run(typed: &cli::ModelMeasure, context: &Context) -> Result<Exit, Failure> {
    let shelf = Shelf::open();
    let wanted: Vec<(String, Meant)> = match typed.models.is_empty() {
        false => {
            typed.models.iter().map(|name| Ok((name.clone(), shelf.find(name)?))).collect::<Result<_, Failure>>()?
        }
        true => {
            let here = shelf.here().into_iter();
            let here = here.map(|h| (h.name.clone(), Meant::Here { name: h.name, folder: h.folder }));
            [(INSIDE.to_owned(), Meant::Inside)].into_iter().chain(here).collect()
        }
    };
    let device = nets::device(context.settings.device()).map_err(|e| Failure::new(Exit::Missing, e))?;
    let mut speeds = Speeds::open(&context.settings);
    let mut rows = Vec::new();
    for (name, meant) in &wanted {
        if interrupt::requested() {
            return Ok(Exit::Interrupted);
        }
        let begun = Instant::now();
        let speed = models::load(meant, &device)
            .map(|(model, _)| Speed::measured(&model, begun.elapsed().as_secs_f64()))
            .and_then(|speed| speeds.note(name, meant, &speed).map(|()| speed));
        match speed {
            Ok(speed) => rows.push((name, speed)),
            // One that cannot be opened does not keep the others from being measured.
            Err(failure) if wanted.len() > 1 => {
                eprintln!(
                    "{} {}: {}",
                    context.paint_err.notice("left out:"),
                    printable(name),
                    printable(&failure.what)
                );
            }
            Err(failure) => return Err(failure),
        }
    }
    let exit = if rows.len() < wanted.len() { Exit::Skipped } else { Exit::Ok };
    if typed.json {
        let models: Vec<_> = rows.iter().map(|(name, speed)| json!({"name": name, "speed": speed.json()})).collect();
        print_json(json!({"machine": machine(&context.settings), "models": models}))?;
        return Ok(exit);
    }
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let line = |(name, s): &(&String, Speed)| {
        format!(
            "{:<width$}  {:>8} pictures/s  {:>8} texts/s  loaded in {:.1} s\n",
            printable(name),
            short(s.pictures_per_sec),
            short(s.texts_per_sec),
            s.load_secs
        )
    };
    print(rows.iter().map(line).collect::<String>())?;
    context.say(format!("on {}", machine(&context.settings)));
    Ok(exit)
}

/// `0.034`, `1.25`, `12.5`, `1250`: three digits that count.
pub fn short(n: f64) -> String {
    match n {
        _ if n >= 100.0 => format!("{n:.0}"),
        _ if n >= 10.0 => format!("{n:.1}"),
        _ if n >= 1.0 => format!("{n:.2}"),
        _ => format!("{n:.3}"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn three_digits_count() {
        assert_eq!([0.0341, 1.254, 12.54, 1254.4].map(super::short), ["0.034", "1.25", "12.5", "1254"]);
    }
}
