//! `likebut config show`: every setting, its value, and where that came from.

use serde_json::json;

use crate::cli::{Config, ConfigAction};
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};

/// Prints the settings.
pub fn run(typed: Config, context: &Context) -> Result<Exit, Failure> {
    let ConfigAction::Show { origin, json } = typed.action;
    let library = context.settings.library().display().to_string();
    let shown = |key: &str, value: &str| match (key, value) {
        ("library", "") => library.clone(),
        _ => value.to_owned(),
    };
    if json {
        let settings: serde_json::Map<_, _> = context
            .settings
            .iter()
            .map(|(s, value, from)| {
                let entry = json!({"value": shown(s.key, value), "origin": from.to_string(), "meaning": s.sentence});
                (s.key.to_owned(), entry)
            })
            .collect();
        print_json(json!({ "settings": settings }))?;
        return Ok(Exit::Ok);
    }
    let mut out = String::new();
    for (setting, value, from) in context.settings.iter() {
        let value = shown(setting.key, value);
        // What is printed is a file that could be written: an unset value is a comment.
        let line = match value.as_str() {
            "" => format!("# {} is unset", setting.key),
            text if text.parse::<f64>().is_ok() => format!("{} = {text}", setting.key),
            text => format!("{} = {}", setting.key, toml::Value::String(text.to_owned())),
        };
        match origin {
            true => out.push_str(&format!("{line:<44} {}\n", context.paint.dim(&format!("# {from}")))),
            false => out.push_str(&format!("{line}\n")),
        }
    }
    print(out)?;
    Ok(Exit::Ok)
}
