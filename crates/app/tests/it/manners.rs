//! Settings, help, colours, pipes: what every command does alike.

use super::{Home, Run};

#[test]
fn what_is_typed_wrongly_ends_with_2() {
    let home = Home::new();
    home.run(&["fnd"]).fails(2, "'find'");
    home.run(&["find"]).fails(2, "REFERENCE");
    home.run(&["find", "a.jpg", "red", "--strength", "7"]).fails(2, "a number from 0");
    home.run(&["find", "a.jpg", "red", "--limit", "0"]).fails(2, "from 1 to 10000");
    home.run(&["find", "a.jpg", "red", "--json", "--paths0"]).fails(2, "cannot be used with");
    home.run(&["status", "--pictures", "none"]).fails(2, "--pictures");
}

#[test]
fn help_and_version_are_data() {
    let home = Home::new();
    let help = home.run(&["find", "--help"]);
    assert!(help.works().out.find("Examples:") < help.out.find("Usage:"), "{help:?}");
    assert_eq!(help.err, "");
    assert!(home.run(&["--version"]).works().out.starts_with("likebut 0."));
    assert_eq!(home.run(&[]).code, Some(2));
}

#[test]
fn settings_come_from_where_they_should() {
    let home = Home::new();
    let origin = |run: &Run| {
        let show = run.works().json();
        (show["settings"]["limit"]["value"].clone(), show["settings"]["limit"]["origin"].clone())
    };
    let show = ["config", "show", "--json"];
    assert_eq!(origin(&home.run(&show)), ("10".into(), "default".into()));
    let user = home.write(".config/likebut/config.toml", "limit = 4\n");
    assert_eq!(origin(&home.run(&show)), ("4".into(), format!("{}:1", user.display()).into()));
    let project = home.write("likebut.toml", "# ours\nlimit = 3\n");
    assert_eq!(origin(&home.run(&show)), ("3".into(), format!("{}:2", project.display()).into()));
    let from_env = Run::of(home.command(&show).env("LIKEBUT_LIMIT", "2").output().expect("it starts"));
    assert_eq!(origin(&from_env), ("2".into(), "variable LIKEBUT_LIMIT".into()));

    let shown = home.run(&["config", "show", "--origin"]);
    assert!(shown.works().out.contains("likebut.toml:2"), "{shown:?}");
    toml::from_str::<toml::Table>(&shown.out).expect("what is shown is a file that could be written");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known() {
    let home = Home::new();
    home.write("likebut.toml", "metod = \"sum\"\n");
    let run = home.run(&["status"]);
    run.fails(2, "there is no setting \"metod\"");
    assert!(run.err.contains("\n  did you mean \"method\"?"), "{run:?}");
}

#[test]
fn no_library_is_said_plainly() {
    let home = Home::new();
    for args in [&["status"][..], &["verify"], &["remove", "#1"]] {
        let run = home.run(args);
        run.fails(1, "there is no library in");
        assert!(run.err.contains("likebut demo"), "{run:?}");
    }
}

#[test]
fn a_library_of_another_version_is_refused_with_6() {
    let home = Home::new();
    let folder = home.path("lib");
    library::Library::create(&folder).expect("a library");
    let open = || rusqlite::Connection::open(folder.join("library.db")).expect("the database");
    let version: i64 = open().pragma_query_value(None, "user_version", |r| r.get(0)).expect("a version");
    home.run(&["status", "--library", "lib"]).works();
    open().pragma_update(None, "user_version", version + 1).expect("a change");
    home.run(&["status", "--library", "lib"]).fails(6, "format version");
    std::fs::write(folder.join("library.db"), b"this is no database, and never was one".repeat(200)).expect("a file");
    home.run(&["status", "--library", "lib"]).fails(6, "damaged");
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = Home::new();
    let mut child = home
        .command(&["completions", "bash"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let run = Run::of(child.wait_with_output().expect("it ends"));
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{run:?}");
}

#[test]
fn no_colours_in_pipes_unless_forced() {
    let home = Home::new();
    let show = ["config", "show", "--origin"];
    assert!(!home.run(&show).out.contains('\x1b'));
    let with = |name: &str, args: &[&str]| {
        Run::of(home.command(args).env(name, "1").output().expect("it starts")).out.contains('\x1b')
    };
    assert!(with("CLICOLOR_FORCE", &show));
    assert!(!with("NO_COLOR", &show));
    assert!(with("NO_COLOR", &["config", "show", "--origin", "--color", "always"]), "what is typed wins");
}

#[test]
fn completions_and_manual_are_printed() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(home.run(&["completions", shell]).works().out.contains("likebut"), "{shell}");
    }
    assert!(home.run(&["docs", "man"]).works().out.contains(".SH"));
    let wide = Run::of(home.command(&["docs", "markdown"]).env("COLUMNS", "300").output().expect("it starts"));
    assert_eq!(home.run(&["docs", "markdown"]).works().out, wide.out, "the reference is the same everywhere");
}
