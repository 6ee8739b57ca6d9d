//! Benchmarks: run them, and write what they printed beside the machine that they ran on.
//!
//! A benchmark is a bench target of a crate (`crates/<crate>/benches/<name>.rs`, `harness = false`)
//! that prints Markdown on standard output: a sentence or two and a table.
//! It is found by itself, so adding the file is all there is to do.

use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use crate::shell;

const FILE: &str = "results/benchmarks.md";

/// The order in the file: the way of the water. What is not named here comes last.
const ORDER: &[&str] = &["media", "kernels", "nets", "methods", "library", "search", "train"];

/// CPU features that our kernels, or those of what we stand on, choose by.
const FEATURES: &[&str] = &[
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx_vnni",
    "avx512f",
    "avx512bw",
    "avx512_vnni",
    "avx512_bf16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "asimddp",
    "i8mm",
    "sve",
];

/// Runs the benchmarks whose name holds one of `names` (all, if there are none).
///
/// Only a run of all of them writes the file: a table half old and half new would be of two machines.
/// With `--keep` among the names, a run of some writes a page of its own, called as they are.
pub fn run(root: &Path, names: &[&str]) -> Result<(), String> {
    let cargo = shell::cargo();
    let metadata = shell::read(root, &cargo, &["metadata", "--format-version", "1", "--no-deps", "--offline"])?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|e| format!("cargo metadata: {e}"))?;
    let mut found = bench_targets(&metadata);
    let keep = names.contains(&"--keep");
    let names: Vec<&str> = names.iter().copied().filter(|n| *n != "--keep").collect();
    let all = names.is_empty();
    found.retain(|(krate, bench)| all || names.iter().any(|n| format!("{krate} {bench}").contains(n)));
    if found.is_empty() {
        return Err("no such benchmark: there is no matching file under crates/*/benches".to_owned());
    }

    let mut page = String::from(
        "# What it costs\n\nWritten by `cargo xtask bench`; do not edit.\nFigures are of this machine and this commit only.\n\n",
    );
    page.push_str(&machine(root));
    let file = match all {
        true => FILE.to_owned(),
        false => format!("results/{}.md", found.iter().map(|(_, bench)| bench.as_str()).collect::<Vec<_>>().join("-")),
    };
    for (krate, bench) in found {
        eprintln!("── {krate} {bench}");
        let start = Instant::now();
        let said = shell::read(root, &cargo, &["bench", "--quiet", "--package", &krate, "--bench", &bench])?;
        eprintln!("{said}── {krate} {bench}: {:.0} s", start.elapsed().as_secs_f64());
        let said = said.trim();
        page.push_str(&format!("\n## {bench} (`{krate}`)\n\n{said}\n"));
    }
    if !all && !keep {
        eprintln!("{FILE} is left as it was; run all benchmarks to write it, or --keep for {file}");
        return Ok(());
    }
    std::fs::create_dir_all(root.join("results")).map_err(|e| format!("cannot make results: {e}"))?;
    std::fs::write(root.join(&file), page).map_err(|e| format!("cannot write {file}: {e}"))?;
    eprintln!("wrote {file}");
    Ok(())
}

/// Package and name of every bench target, in the file's order.
fn bench_targets(metadata: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        for target in package["targets"].as_array().into_iter().flatten() {
            let is_bench = target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k == "bench"));
            if let (true, Some(krate), Some(bench)) = (is_bench, package["name"].as_str(), target["name"].as_str()) {
                found.push((krate.to_owned(), bench.to_owned()));
            }
        }
    }
    let place =
        |krate: &str| ORDER.iter().position(|o| krate.trim_start_matches("likebut-") == *o).unwrap_or(ORDER.len());
    found.sort_by(|a, b| place(&a.0).cmp(&place(&b.0)).then_with(|| a.cmp(b)));
    found
}

/// The machine, in a table.
fn machine(root: &Path) -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let ask = |program: &str, args: &[&str]| shell::read(root, program, args).map(|t| t.trim().to_owned()).ok();
    let unknown = || "unknown".to_owned();
    let cpu =
        field(&info, "model name").map(str::to_owned).or_else(|| ask("sysctl", &["-n", "machdep.cpu.brand_string"]));
    let features = field(&info, "flags").or_else(|| field(&info, "Features")).map(|flags| {
        let has: Vec<&str> = flags.split_whitespace().collect();
        FEATURES.iter().copied().filter(|f| has.contains(f)).collect::<Vec<_>>().join(" ")
    });
    let gib = field(&memory, "MemTotal")
        .and_then(|kb| kb.split_whitespace().next()?.parse::<f64>().ok())
        .or_else(|| ask("sysctl", &["-n", "hw.memsize"])?.parse::<f64>().ok().map(|bytes| bytes / 1024.0))
        .map(|kb| format!("{:.1} GiB", kb / 1_048_576.0));
    let cores = std::thread::available_parallelism().map(|n| n.to_string()).ok();
    let commit = ask("git", &["describe", "--always", "--dirty"]);
    let rows = [
        ("processor", cpu),
        ("cores seen", cores),
        ("features", features),
        ("memory", gib),
        ("system", ask("uname", &["-sm"]).or_else(|| Some(std::env::consts::OS.to_owned()))),
        ("compiler", ask("rustc", &["--version"])),
        ("commit", commit),
    ];
    let row = |(name, value): (&str, Option<String>)| format!("| {name} | {} |\n", value.unwrap_or_else(unknown));
    format!("| machine | |\n|---|---|\n{}", rows.map(row).concat())
}

/// The first `name : value` line's value.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().filter_map(|l| l.split_once(':')).find(|(n, _)| n.trim() == name).map(|(_, v)| v.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benches_come_in_the_way_of_the_water() {
        let bench = |krate: &str, name: &str, kind: &str| serde_json::json!({"name": krate, "targets": [{"name": name, "kind": [kind]}]});
        let metadata = serde_json::json!({"packages": [
            bench("likebut-search", "query", "bench"), bench("likebut-x", "x", "bench"),
            bench("likebut-media", "decode", "bench"), bench("likebut-nets", "nets", "lib"),
        ]});
        let names: Vec<String> = bench_targets(&metadata).into_iter().map(|(_, b)| b).collect();
        assert_eq!(names, ["decode", "query", "x"]);
    }

    #[test]
    fn a_field_of_proc_is_found_by_its_whole_name() {
        let text = "model\t\t: 1\nmodel name\t: A: B\n";
        assert_eq!(field(text, "model name"), Some("A: B"));
        assert_eq!(field(text, "flags"), None);
    }
}
