//! The way of a user: draw, add, find, look, remove, mark.

use super::{Home, Run};

/// A home with a small drawn world in `world`, and its test part in the library.
fn with_world() -> Home {
    let home = Home::new();
    home.run(&["scenes", "world", "--test", "2"]).works();
    home.run(&["add", "world"]).works();
    home
}

#[test]
fn a_world_is_drawn_added_asked_and_emptied() {
    let home = with_world();
    let status = home.run(&["status", "--json"]).works().json();
    let items = status["indexed"].as_u64().expect("a number");
    assert!(items >= 10 && status["failed"] == serde_json::json!([]), "{status}");
    assert_eq!(home.run(&["verify", "--json"]).works().json()["ok"], true);

    let again = home.run(&["add", "world", "--json"]).works().json();
    assert_eq!((again["indexed"].clone(), again["unchanged"].clone()), (0.into(), items.into()));

    let found = home.run(&["find", "#1", "in winter", "-n", "5", "--json"]).works().json();
    let hits = found["hits"].as_array().expect("hits");
    assert_eq!((hits.len(), found["of"].as_u64()), (5, Some(items - 1)));
    assert!(hits.iter().all(|hit| hit["id"] != 1), "the reference is no answer: {found}");
    let scores: Vec<f64> = hits.iter().filter_map(|hit| hit["score"].as_f64()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");

    let with = home.run(&["find", "#1", "in winter", "-n", "5", "--with-reference", "--json"]).works().json();
    assert_eq!(with["of"].as_u64(), Some(items), "the reference may be an answer where that is wished: {with}");

    let lines = home.run(&["find", "#1", "in winter", "-n", "5", "--jsonl"]).works().out.clone();
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    assert_eq!((lines.lines().count(), first["likebut"].as_i64(), first["rank"].as_i64()), (5, Some(1), Some(1)));
    assert_eq!(first["path"], hits[0]["path"]);
    let paths = home.run(&["find", "#1", "in winter", "-n", "5", "--paths0"]).works().out.clone();
    let paths: Vec<&str> = paths.split_terminator('\0').collect();
    assert_eq!(paths.len(), 5);
    assert!(paths.iter().all(|path| std::path::Path::new(path).is_file()));

    let dry = home.run(&["remove", "--dry-run", "#1", "#2"]);
    assert_eq!(dry.works().out.lines().count(), 2);
    home.run(&["remove", "#1"]).works();
    assert_eq!(home.run(&["status", "--json"]).json()["indexed"], items - 1);
    home.run(&["remove", "#1"]).fails(2, "no item #1");
    home.run(&["remove", "world"]).works();
    assert!(home.path("world/gallery.test.jsonl").is_file(), "the user's files are not touched");
    let none = home.run(&["find", paths[0], "in winter", "--fail-on-none"]);
    assert_eq!((none.code, none.out.as_str()), (Some(4), ""), "{none:?}");
}

#[test]
fn what_is_moved_is_known_and_what_is_gone_leaves() {
    let home = with_world();
    let items = home.run(&["status", "--json"]).json()["indexed"].as_u64().expect("a number");
    std::fs::rename(home.path("world"), home.path("elsewhere")).expect("it moves");
    assert!(home.run(&["verify"]).out.contains(&format!("{items} files no longer where they were")));
    let moved = home.run(&["add", "elsewhere", "--json"]).works().json();
    assert_eq!((moved["indexed"].clone(), moved["moved"].clone()), (items.into(), items.into()), "{moved}");
    std::fs::remove_dir_all(home.path("elsewhere/test")).expect("it goes");
    let gone = home.run(&["add", "elsewhere", "--json"]).works().json();
    assert_eq!(gone["removed"], items, "{gone}");
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_does_not_keep_what_is_gone() {
    let home = Home::new();
    for (name, grey) in [("a.png", 10), ("b.png", 200)] {
        home.write(&format!("in/{name}"), media::png_bytes(&media::Frame::filled(8, 8, [grey; 3])).expect("a picture"));
    }
    home.run(&["add", "in"]).works();
    std::os::unix::fs::symlink("nowhere", home.path("in/link.png")).expect("a link");
    std::fs::remove_file(home.path("in/a.png")).expect("it goes");
    let run = home.run(&["add", "in", "--json"]);
    assert_eq!(
        (run.code, run.json()["removed"].clone(), run.json()["unchanged"].clone()),
        (Some(3), 1.into(), 1.into())
    );
}

#[test]
fn the_page_holds_reference_words_and_answers() {
    let home = with_world();
    let page = home.path("page.html");
    home.run(&["find", "#1", "on the <moon>", "-n", "3", "--page", "page.html"]).works();
    let html = std::fs::read_to_string(page).expect("a page");
    assert!(html.contains("on the &lt;moon&gt;") && !html.contains("<moon>"));
    assert_eq!(html.matches("<li class=\"hit\">").count(), 3);
}

#[test]
fn methods_are_marked_on_a_drawn_world() {
    let home = Home::new();
    home.run(&["scenes", "world", "--test", "2"]).works();
    let run = home.run(&["eval", "world", "--methods", "sum,picture", "--json"]);
    let json = run.works().json();
    let queries = json["reports"]["sum"]["all"]["queries"].as_u64().expect("a number");
    assert!(queries > 5, "{json}");
    assert_eq!(json["reports"]["picture"]["all"]["queries"], queries);
    let text = home.run(&["eval", "world", "--methods", "sum"]);
    assert!(text.works().out.contains("R@1") && text.out.contains("sum"), "{text:?}");
    home.run(&["eval", "world", "--split", "val"]).fails(5, "gallery.val.jsonl");
}

#[cfg(unix)]
#[test]
fn a_polite_kill_saves_what_is_done_and_says_how_to_go_on() {
    let home = Home::new();
    home.run(&["scenes", "world", "--test", "8"]).works();
    let mut command = home.command(&["add", "world", "--batch", "1"]);
    let child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().expect("it starts");
    // As soon as the library is there, the adding has begun.
    let library = home.path(".local/share/likebut/library/library.db");
    while !library.exists() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    let run = Run::of(child.wait_with_output().expect("it ends"));
    assert_eq!(run.code, Some(130), "{run:?}");
    assert!(run.err.contains("To go on: likebut add world --batch 1\n"), "{run:?}");
    home.run(&["verify"]);
    let rest = home.run(&["add", "world", "--json"]).works().json();
    let number = |key: &str| rest[key].as_u64().expect("a number");
    assert_eq!(number("indexed") + number("unchanged"), number("found"), "{rest}");
    assert_eq!(home.run(&["verify", "--json"]).works().json()["indexed"], rest["found"]);
}

#[test]
fn the_doctor_looks_at_everything() {
    let home = Home::new();
    let json = home.run(&["doctor", "--json"]).works().json();
    let names: Vec<_> = json["findings"].as_array().expect("findings").iter().map(|f| f["name"].clone()).collect();
    assert_eq!(names, ["likebut", "processor", "memory", "ffmpeg", "model", "models", "library"]);
}

#[test]
fn instructions_that_are_wished_for_are_granted_or_refused_and_the_doctor_says_which() {
    let home = Home::new();
    let with = |wish: &str, args: &[&str]| {
        Run::of(home.command(args).env("LIKEBUT_CPU", wish).output().expect("the binary starts"))
    };
    let processor = |run: Run| {
        let finding = run.works().json()["findings"][1].clone();
        let text = |key: &str| finding[key].as_str().expect("a text").to_owned();
        (finding["ok"] == true, text("found"), text("meaning"))
    };
    let unset = processor(home.run(&["doctor", "--json"]));
    let best = unset.2.strip_prefix("the best of what this processor has: ").expect("what it has");
    // Behind that may stand why the newest are not the best.
    let has = best.split("; ").next().unwrap_or(best).to_owned();
    assert_eq!(processor(with("", &["doctor", "--json"])), unset, "an empty wish is none");
    let names: Vec<&str> = has.split(", ").collect();
    for wish in ["portable", "avx2", "avx512", "avx512-plain", "avx512-bf16", "amx", "sse9"] {
        let (ok, found, meaning) = processor(with(wish, &["doctor", "--json"]));
        let refused = format!("LIKEBUT_CPU is \"{wish}\"");
        assert_eq!(ok, names.contains(&wish.trim_end_matches("-plain")), "{wish}: {found}");
        let embed = with(wish, &["embed", "--text", "a cat", "--json"]);
        if ok {
            assert!(meaning.contains(&format!("LIKEBUT_CPU={wish} asked")), "{meaning}");
            let multiplies = found.rsplit(' ').next().expect("a path");
            let best = names.iter().rfind(|n| n.starts_with("avx512")).copied().unwrap_or_default();
            let taken = match wish {
                "avx512" => best,
                other => other.trim_end_matches("-plain"),
            };
            assert_eq!(multiplies, taken, "{found}");
            embed.works();
        } else {
            assert!(found.contains(&refused) && found.contains(&has) && !found.contains("multiplies"), "{found}");
            assert!(meaning.contains("unset LIKEBUT_CPU"), "{meaning}");
            embed.fails(2, &refused);
            // Where a library would be opened, too, before it is made or looked for.
            with(wish, &["add", "."]).fails(2, &refused);
            with(wish, &["status"]).fails(2, &refused);
        }
    }
}

#[test]
fn a_question_is_explained() {
    let home = with_world();
    let run = home.run(&[
        "explain",
        "#1",
        "as a <birthday> party",
        "-n",
        "3",
        "--json",
        "--page",
        "why.html",
        "--png",
        "why",
    ]);
    let json = run.works().json();
    assert!(json["confidence"].as_f64().is_some_and(|c| c > 0.0 && c < 1.0), "{json}");
    let (side, frames) = (json["patches_along_side"].as_u64().unwrap(), json["frames"].as_u64().unwrap());
    let mut maps = 0;
    for library in ["picture", "words"] {
        let used = json["prototypes"][library].as_array().expect("prototypes");
        let sum = |of: &dyn Fn(&serde_json::Value) -> f64| used.iter().map(of).sum::<f64>();
        assert!((sum(&|u| u["weight"].as_f64().unwrap()) - 1.0).abs() < 1e-4, "{json}");
        assert!(used.iter().all(|u| u["map"].as_array().unwrap().len() as u64 == side * side * frames));
        maps += used.len();
    }
    // With imagery it is the question that find asks.
    let found = home.run(&["find", "#1", "as a <birthday> party", "-n", "3", "--json"]).works().json();
    assert_eq!(json["with"], found["hits"]);
    assert_eq!(json["without"].as_array().unwrap().len(), 3);
    let pictures = std::fs::read_dir(home.path("why")).expect("a folder").count();
    assert_eq!(pictures, maps + 3, "the frames, and each library together");
    let page = std::fs::read_to_string(home.path("why.html")).expect("a page");
    assert!(page.contains("as a &lt;birthday&gt; party") && !page.contains("<birthday>"));
    assert_eq!(page.matches("<li class=\"hit\">").count(), 6);
    assert_eq!(
        page.matches(" prototype ").count() / 2,
        maps,
        "each map is named in its caption and for those who do not see it"
    );
    home.run(&["explain", "#1", "in winter"]).works();
    home.run(&["explain", "#1", ""]).fails(2, "words");
    home.run(&["explain", "#9999", "in winter"]).fails(2, "no item");
}
