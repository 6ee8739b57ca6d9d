//! The house's own chores: `cargo xtask tidy`, `test`, `nightly`, `docs` and `bench`.

mod bench;
mod docs;
mod nightly;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <chore>

  tidy            hold what the documents say against what the code is (seconds)
  test            everything that must be true: tidy, formatting, lints, all tests, generated documents
  nightly         what takes too long for every change: the list in xtask/src/nightly.rs
  docs [--check]  write the documents that the program prints about itself, or say which are out of date
  bench [NAME…]   run the benchmarks (all, or those whose name holds NAME) and write results/benchmarks.md;
                  with --keep, some of them write a page of their own there
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let root = shell::root();
    let done = match args[..] {
        ["tidy"] => tidy::run(&root),
        ["test"] => test::run(&root),
        ["nightly"] => nightly::run(&root),
        ["docs"] => docs::write(&root),
        ["docs", "--check"] => docs::check(&root),
        ["bench", ref names @ ..] => bench::run(&root, names),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        [ref other, ..] => {
            eprint!("no such chore, or not with these words: {other}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
