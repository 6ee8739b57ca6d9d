//! Killed at any moment: nothing acknowledged is lost, and the library opens.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use domain::{Digest, Embedding, Space};
use library::bench::Random;
use library::{Failure, Filter, Library};

use crate::common::*;

const KILLS: usize = 220;
const WHERE: &str = "LIKEBUT_TEST_KILL_DIR";

fn toy() -> Space {
    space("toy", 1, 64)
}

/// What an item's name says its vector must be.
fn vector_of(name: &str) -> Embedding {
    let seed = u64::from_le_bytes(Digest::of(name.as_bytes()).0[..8].try_into().unwrap()) | 1;
    Embedding::single(Random(seed).unit_vector(64))
}

/// Starts itself again as a writer, kills that at random moments, and looks at what is left.
#[test]
fn kills_lose_nothing() {
    if let Some(dir) = std::env::var_os(WHERE) {
        write_until_killed(Path::new(&dir));
    }
    let root = tempfile::tempdir().unwrap();
    let mut random = Random(0x5eed);
    let mut dir = root.path().join("0");
    // Name by id: what must be there. A name without value: being removed when the kill came.
    let mut acknowledged: BTreeMap<i64, String> = BTreeMap::new();
    let mut failed: Vec<String> = Vec::new();
    let (mut items, mut removed, mut opened_unmade) = (0, 0, 0);
    for kill in 0..KILLS {
        // A new library now and then, so that the making is hit too.
        if kill % 10 == 0 {
            dir = root.path().join(kill.to_string());
            acknowledged.clear();
            failed.clear();
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crash::kills_lose_nothing", "--exact", "--nocapture", "--test-threads=1"])
            .env(WHERE, &dir)
            .env("LIKEBUT_TEST_KILL_SEED", kill.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).collect::<Vec<_>>());
        std::thread::sleep(Duration::from_micros(random.below(60_000) as u64));
        // On Unix this is SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();

        let mut unsure = Vec::new();
        for line in reader.join().unwrap() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["put", id, name] => {
                    items += 1;
                    acknowledged.insert(id.parse().unwrap(), name.to_owned());
                }
                ["removing", id] => {
                    let id: i64 = id.parse().unwrap();
                    unsure.push((id, acknowledged.remove(&id)));
                }
                ["removed", id] => {
                    removed += 1;
                    let id: i64 = id.parse().unwrap();
                    unsure.retain(|(u, _)| *u != id);
                }
                ["failed", name] => failed.push(name.to_owned()),
                _ => {}
            }
        }
        if acknowledged.is_empty() && Library::open(&dir).is_err() {
            opened_unmade += 1;
        }
        let library = Library::open_or_create(&dir).unwrap();
        let report = library.verify(true).unwrap();
        assert!(report.is_ok(), "kill {kill}: {report:?}");
        for (id, name) in &acknowledged {
            let item = library.item(domain::ItemId(*id)).unwrap();
            assert_eq!(item.map(|i| i.media.to_string()).as_ref(), Some(name), "kill {kill}: item {id} is lost");
        }
        let failures = library.failures().unwrap();
        for name in &failed {
            assert!(failures.iter().any(|f| f.path.to_str() == Some(name)), "kill {kill}: failure {name} is lost");
        }
        if library.spaces().unwrap().is_empty() {
            assert!(acknowledged.is_empty());
            continue;
        }
        for (id, name) in acknowledged.iter().rev().take(5) {
            assert_eq!(library.embedding(domain::ItemId(*id), &toy()).unwrap(), Some(vector_of(name)));
            let hits = library.nearest(&probe(&toy(), vector_of(name)), 1, &Filter::default()).unwrap();
            assert_eq!(hits[0].item.0, *id, "kill {kill}");
        }
        // What was kept unheard, because the kill came before the word, is kept from now on.
        for item in library.items() {
            let item = item.unwrap();
            acknowledged.insert(item.id.0, item.media.to_string());
        }
        for (id, _) in unsure {
            if library.item(domain::ItemId(id)).unwrap().is_none() {
                acknowledged.remove(&id);
            }
        }
    }
    println!(
        "{KILLS} kills, {items} items acknowledged, {removed} removals, {opened_unmade} before the library was made"
    );
    assert!(items > KILLS, "the writer was never given time: {items} items");
}

/// Puts, removes, fails and seals until killed, and says each time what is done. Never returns.
fn write_until_killed(dir: &Path) -> ! {
    let seed: u64 = std::env::var("LIKEBUT_TEST_KILL_SEED").unwrap().parse().unwrap();
    let mut random = Random(seed + 1);
    let mut out = std::io::stdout().lock();
    let mut say = |line: String| {
        // Should the parent be gone there is no one to write for.
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            std::process::exit(0);
        }
    };
    let mut library = Library::open_or_create(dir).unwrap();
    library.bind(&toy(), &canary(&toy())).unwrap();
    say(String::new());
    for round in 0.. {
        let batch: Vec<_> = (0..1 + random.below(6))
            .map(|i| {
                let name = format!("{seed}-{round}-{i}");
                let mut new = item(&name).with_vector(&toy(), vector_of(&name));
                new.thumbnail = Some(vec![7; random.below(4000)]);
                new
            })
            .collect();
        let ids = library.put(&batch).unwrap();
        for (id, new) in ids.iter().zip(&batch) {
            say(format!("put {id} {}", new.media));
        }
        match random.below(6) {
            0 => {
                say(format!("removing {}", ids[0]));
                library.remove(&ids[..1]).unwrap();
                say(format!("removed {}", ids[0]));
            }
            1 => {
                let name = format!("bad-{seed}-{round}");
                let (code, reason) = ("odd".to_owned(), "it is odd".to_owned());
                library
                    .fail(&[Failure { path: (&name).into(), size: 1, mtime_ns: 1, code, reason, at_ms: 0 }])
                    .unwrap();
                say(format!("failed {name}"));
            }
            2 => library.seal().unwrap(),
            _ => {}
        }
    }
    std::process::exit(0)
}
