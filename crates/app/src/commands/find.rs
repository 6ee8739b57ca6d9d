//! `likebut find`: items that are like a reference, but as the words say.

use std::io::{IsTerminal as _, Read as _};

use domain::{ItemId, MAX_WORDS_BYTES, MediaRef, Query};
use library::{Item, Library};
use media::Limits;
use search::{Answer, Engine};
use serde_json::json;

use crate::answers;
use crate::cli;
use crate::context::{Context, print, print_json};
use crate::exit::{Exit, Failure};
use crate::hits;
use crate::models;
use crate::page::{PageModel, Step};
use crate::paths::{item_id, shown, text};
use crate::progress::thousands;
use crate::terminal;

/// Asks, and prints what came back in the form that was asked for.
pub fn run(typed: &cli::Find, context: &Context) -> Result<Exit, Failure> {
    // What can be refused cheaply is refused before a library or a model is opened.
    context.settings.method().map(models::known).transpose()?;
    let words = words(&typed.words)?;
    let (id, outside) = meant(&typed.reference)?;
    let mut query = Query {
        reference: outside.unwrap_or_else(|| MediaRef::file("")),
        words,
        not: typed.not.clone(),
        strength: context.settings.strength(),
    };
    if context.settings.method() != Some("picture") {
        query.check().map_err(Failure::usage)?;
    }

    let library = Library::open(context.settings.library())?;
    if let Some(id) = id {
        query.reference = item(&library, id)?.media;
    }
    if library.is_empty()? {
        context.say("the library is empty; put something in: likebut add FOLDER");
        return Ok(if typed.fail_on_none { Exit::NoMatch } else { Exit::Ok });
    }
    let engine = models::asking(&context.settings, library)?;
    for words in [Some(&query.words), query.not.as_ref()].into_iter().flatten() {
        models::tell_of_cut(engine.method.model(), words, context);
    }
    let limits = Limits { max_pixels: context.settings.max_pixels(), ..Limits::default() };
    let answer = search::find(&engine, &query, context.settings.limit(), typed.with_reference, &limits)?;

    if let Some(file) = &typed.page {
        let page = page(&engine.library, &query, &answer, &limits);
        std::fs::write(file, page.render())
            .map_err(|e| Failure::from(e).about(format!("cannot write the page {}", file.display())))?;
        context.say(format!("wrote {}", shown(file)));
    }
    show(typed, context, &engine, &query, &answer)?;
    Ok(if answer.hits.is_empty() && typed.fail_on_none { Exit::NoMatch } else { Exit::Ok })
}

/// What a reference means: a number of the library, or a file that is there.
pub fn meant(typed: &str) -> Result<(Option<ItemId>, Option<MediaRef>), Failure> {
    let id = item_id(typed)?;
    let outside = if id.is_none() { Some(reference(typed)?) } else { None };
    Ok((id, outside))
}

/// The item with this number.
pub fn item(library: &Library, id: ItemId) -> Result<Item, Failure> {
    library.item(id)?.ok_or_else(|| {
        Failure::usage(format!("the library holds no item #{id}")).hint("likebut status says what is in it")
    })
}

/// The words as typed, or as they come from standard input.
pub fn words(typed: &str) -> Result<String, Failure> {
    if typed != "-" {
        return Ok(typed.to_owned());
    }
    let mut bytes = Vec::new();
    std::io::stdin().take(MAX_WORDS_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_WORDS_BYTES {
        return Err(Failure::usage(format!(
            "the words on standard input are more than {MAX_WORDS_BYTES} bytes long; say it in a sentence"
        )));
    }
    String::from_utf8(bytes)
        .map(|text| text.trim().to_owned())
        .map_err(|_| Failure::usage("the words on standard input are not text in UTF-8"))
}

/// A reference that is a file: there, and no folder.
pub fn reference(typed: &str) -> Result<MediaRef, Failure> {
    let mut media = MediaRef::parse(typed).map_err(Failure::usage)?;
    // A file that is called like a span is that file.
    if media.span.is_some() && std::path::Path::new(typed).exists() {
        media = MediaRef::file(typed);
    }
    match std::fs::metadata(&media.path) {
        Ok(meta) if meta.is_dir() => {
            Err(Failure::usage(format!("the reference {typed} is a folder; name one picture or clip"))
                .hint(format!("to put the whole folder into the library: likebut add {typed}")))
        }
        Ok(_) => Ok(media),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::usage(format!("there is no file {}", media.path.display()))
                .hint("the reference comes first, then the words: likebut find sofa.jpg \"in blue\""))
        }
        Err(e) => Err(Failure::usage(format!("the reference {typed} cannot be read: {e}"))),
    }
}

fn show(typed: &cli::Find, context: &Context, engine: &Engine, query: &Query, answer: &Answer) -> Result<(), Failure> {
    let library = &engine.library;
    let hits = || answer.hits.iter().enumerate().map(|(i, found)| hits::json(i + 1, found));
    let millis = |d: std::time::Duration| (d.as_secs_f64() * 1e4).round() / 10.0;
    if typed.format.paths0 {
        let path = |found: &search::Found| [hits::path_bytes(&found.item.media.path), vec![0]].concat();
        return print(answer.hits.iter().flat_map(path).collect::<Vec<u8>>());
    }
    if typed.format.jsonl {
        return hits().try_for_each(print_json);
    }
    if typed.format.json {
        return print_json(json!({
            "query": {
                "reference": text(&query.reference.path), "span": query.reference.span, "words": query.words,
                "not": query.not,
                "strength": context.settings.strength(), "method": engine.method.name(),
            },
            "of": answer.of,
            "hits": hits().collect::<Vec<_>>(),
            "timing_ms": {
                "decode": millis(answer.decode), "encode": millis(answer.encode), "search": millis(answer.search),
            },
        }));
    }
    let env = |name: &str| std::env::var(name).ok();
    let stdout = std::io::stdout();
    if let Some(protocol) = terminal::detect(context.settings.pictures(), stdout.is_terminal(), &env) {
        let columns = terminal_size::terminal_size().map_or(80, |(w, _)| usize::from(w.0));
        print(hits::row_of_pictures(library, &hits::ranked(&answer.hits), protocol, columns))?;
    }
    print(hits::lines(&hits::ranked(&answer.hits), &context.paint, &|_| false))?;
    let took = answer.decode + answer.encode + answer.search;
    context.say(context.paint_err.dim(&format!(
        "the best {} of {}, in {} ms (scores compare within one question only)",
        answer.hits.len(),
        thousands(answer.of as u64),
        took.as_millis()
    )));
    if let Some(best) = answer.hits.first() {
        context.say(context.paint_err.dim(&format!(
            "from the best one on: likebut find '#{}' \"…\" · softer or stronger: --strength 0.3 or 0.7",
            best.item.id
        )));
    }
    Ok(())
}

fn page(library: &Library, query: &Query, answer: &Answer, limits: &Limits) -> PageModel {
    let reference = answers::outsider(&query.reference, limits);
    let question =
        answers::question(library, reference, &query.words, query.not.as_deref(), &hits::ranked(&answer.hits), None);
    PageModel {
        title: "Like this, but …".to_owned(),
        lead: format!("The best {} of {} items.", answer.hits.len(), thousands(answer.of as u64)),
        marks: None,
        questions: vec![question],
        maps: None,
        next: vec![
            Step { what: "Go on from an answer".to_owned(), command: "likebut find '#ID' \"…\"".to_owned() },
            Step { what: "Change less, or more".to_owned(), command: "likebut find … --strength 0.3".to_owned() },
        ],
        notes: vec![format!("likebut {}", env!("CARGO_PKG_VERSION"))],
    }
}
