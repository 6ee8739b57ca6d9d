//! Models by name: brought from a hub of our own, imported, used, checked, taken away; and vectors.

#[path = "../../../hub/tests/it/server.rs"]
#[allow(dead_code)]
pub mod server;

use super::{Home, Run};
use server::{Reply, Repository, Server};

/// Runs with a hub to ask.
fn at(home: &Home, server: &Server, args: &[&str], more: &[(&str, &str)]) -> Run {
    let mut command = home.command(args);
    command.env("HF_ENDPOINT", &server.address).envs(more.iter().copied());
    Run::of(command.output().expect("the binary starts"))
}

#[test]
fn a_model_is_pulled_once_its_licence_was_accepted_and_checked_and_removed() {
    let home = Home::new();
    let repo = Repository::clip(200_000);
    let server = Server::start(move |r, _| repo.answer(r));
    let pull = ["model", "pull", "owner/clip"];
    let refused = at(&home, &server, &pull, &[]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("licence  mit") && refused.err.contains("--yes"), "{refused:?}");
    let dry = at(&home, &server, &[&pull[..], &["--dry-run", "--json"]].concat(), &[]).works().json();
    assert_eq!((dry["licence"].as_str(), dry["files"].as_array().map(Vec::len)), (Some("mit"), Some(3)));
    assert_eq!(server.files_asked(), 0, "nothing is fetched before the licence is accepted");
    assert!(!home.path(".cache").exists());

    let run = at(&home, &server, &[&pull[..], &["--yes"]].concat(), &[]);
    let folder = std::path::PathBuf::from(run.works().out.trim());
    assert!(folder.starts_with(home.path(".cache/huggingface/hub/models--owner--clip/snapshots")), "{run:?}");
    assert!(folder.join("model.safetensors").exists() && !folder.join("evil.py").exists());
    let asked = server.asked().len();

    let list = at(&home, &server, &["model", "list", "--json"], &[]).works().json();
    let models = list["models"].as_array().expect("models");
    let mine = models.iter().find(|m| m["name"] == "clip").expect("it is listed");
    assert_eq!((mine["state"].as_str(), mine["folder"].as_str()), (Some("here"), folder.to_str()));
    assert!(at(&home, &server, &["model", "verify"], &[]).works().out.contains("whole: clip, 3 files"));
    let by_repo = at(&home, &server, &["model", "show", "owner/clip", "--json"], &[]).works().json();
    assert_eq!(by_repo["record"]["origin"]["commit"].as_str().map(str::len), Some(40), "{by_repo}");
    assert!(at(&home, &server, &["doctor"], &[]).works().out.contains("1 on this disk: clip"));
    assert_eq!(server.asked().len(), asked, "none of these asks anyone");

    // With the network forbidden, what is here is here, and what is not is said to be so.
    let offline = [("HF_HUB_OFFLINE", "1")];
    assert_eq!(at(&home, &server, &pull, &offline).works().out, run.out);
    at(&home, &server, &["model", "pull", "bge-vl-base"], &offline).fails(5, "HF_HUB_OFFLINE forbids");
    assert_eq!(server.asked().len(), asked);

    let weights = std::fs::canonicalize(folder.join("model.safetensors")).expect("it is there");
    std::fs::write(&weights, "rotten").expect("it can be written");
    let rotten = at(&home, &server, &["model", "verify", "clip"], &[]);
    assert_eq!(rotten.code, Some(5), "{rotten:?}");
    assert!(rotten.out.contains("wrong:") && rotten.out.contains("not whole: clip"), "{rotten:?}");

    let dry = at(&home, &server, &["model", "remove", "clip", "--dry-run"], &[]);
    assert!(dry.works().out.contains("would go") && folder.exists(), "{dry:?}");
    at(&home, &server, &["model", "remove", "clip"], &[]).works();
    assert!(!folder.exists() && !weights.exists());
    at(&home, &server, &["model", "remove", "clip"], &[]).fails(5, "there is no model \"clip\"");
}

#[test]
fn what_cannot_be_pulled_says_why() {
    let home = Home::new();
    let gated = Server::start(|_, _| Reply::new(401, "").with("X-Error-Code", "GatedRepo"));
    let run = at(&home, &gated, &["model", "pull", "bge-vl-base", "--yes"], &[]);
    run.fails(5, "BAAI/BGE-VL-base is not given to just anyone");
    assert!(run.err.contains("HF_TOKEN"), "{run:?}");
    let repo = Repository::clip(1000);
    let liar = Server::start(move |r, _| {
        let mut reply = repo.answer(r);
        if r.path.ends_with(".safetensors") {
            reply.body[1] ^= 1;
        }
        reply
    });
    at(&home, &liar, &["model", "pull", "owner/clip", "--yes"], &[]).fails_after_notice(5, "is not what was announced");
    let busy = Server::start(|_, _| Reply::new(429, "").with("Retry-After", 3600));
    at(&home, &busy, &["model", "pull", "owner/clip", "--yes"], &[]).fails(1, "3600");
    assert_eq!(busy.asked().len(), 1, "nobody waits an hour");
    home.run(&["model", "pull", "bge-vl-bse"]).fails(2, "likebut knows no model");
    home.run(&["model", "pull", "../../x/y"]).fails(2, "is no repository");
    let silent = Run::of(
        home.command(&["model", "pull", "bge-vl-base"])
            .env("HF_ENDPOINT", "http://127.0.0.1:9")
            .output()
            .expect("the binary starts"),
    );
    silent.fails(1, "cannot reach 127.0.0.1:9");
    assert!(silent.err.contains("likebut model import FOLDER"), "{silent:?}");
}

#[test]
fn what_breaks_or_is_busy_for_a_moment_is_gone_on_with() {
    let home = Home::new();
    let repo = Repository::clip(200_000);
    let server = Server::start(move |r, n| {
        let mut reply = repo.answer(r);
        if r.path.ends_with(".safetensors") && r.from() == 0 {
            reply.cut_after = Some(150_000);
        }
        if n == 0 { Reply::new(429, "").with("Retry-After", 0) } else { reply }
    });
    let run = at(&home, &server, &["model", "pull", "owner/clip", "--yes"], &[]);
    assert!(run.works().err.contains("licence  mit") && run.err.contains("trying again"), "{run:?}");
    let starts: Vec<usize> =
        server.asked().iter().filter(|r| r.path.ends_with(".safetensors")).map(server::Request::from).collect();
    assert!(starts.len() == 2 && starts[1] > 100_000, "{starts:?}");
    assert!(home.run(&["model", "verify"]).works().out.contains("whole: clip, 3 files"));
}

#[test]
fn a_known_model_that_is_absent_says_how_to_bring_it() {
    let home = Home::new();
    let picture = media::png_bytes(&media::Frame::filled(40, 30, [200, 20, 20])).expect("a picture");
    home.write("red.png", picture);
    for args in [&["add", "red.png"][..], &["embed", "red.png", "--json"]] {
        let run = home.run(&[args, &["--model", "bge-vl-base"]].concat());
        run.fails(5, "the model bge-vl-base is not on this disk");
        assert!(run.err.contains("(299 MB, mit): likebut model pull bge-vl-base"), "{run:?}");
    }
    let list = home.run(&["model", "list", "--color", "always"]);
    assert!(list.works().out.contains("bge-vl-base") && list.out.contains('\x1b'), "{list:?}");
    let show = home.run(&["model", "show", "bge-vl-base"]);
    assert!(show.works().out.contains("no; likebut model pull bge-vl-base brings it"), "{show:?}");
    home.run(&["model", "show", "bge"]).fails(5, "there is no model \"bge\"");
}

#[test]
fn an_imported_model_is_used_by_its_name_and_its_files_stay() {
    let home = Home::new();
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/scenes-toy");
    for name in ["manifest.json", "model.safetensors", "vocab.txt"] {
        home.write(&format!("My Model/{name}"), std::fs::read(format!("{shipped}/{name}")).expect("the shipped model"));
    }
    let imported = home.run(&["model", "import", "My Model", "--json"]).works().json();
    assert_eq!((imported["name"].as_str(), imported["files"].as_array().map(Vec::len)), (Some("my-model"), Some(3)));
    home.run(&["model", "import", "My Model"]).fails(2, "it is taken");
    home.run(&["model", "import", "My Model", "--name", "bge-vl-base"]).fails(2, "another model");
    home.run(&["model", "import", "nowhere"]).fails(2, "nowhere");
    let show = home.run(&["model", "show", "my-model", "--json"]).works().json();
    let inside = home.run(&["model", "show", "--json"]).works().json();
    assert_eq!(show["opened"]["space"], inside["opened"]["space"]);
    assert!(show["opened"]["tensors"].as_u64() > Some(10), "{show}");
    assert_eq!(show["opened"]["numbers"], inside["opened"]["numbers"]);
    home.run(&["model", "verify", "my-model"]).works();
    home.run(&["model", "remove", "my-model"]).works();
    assert!(home.path("My Model/model.safetensors").exists(), "what was imported stays where it was");
}

#[test]
fn weights_are_written_again_under_the_same_names_and_nothing_is_overwritten() {
    let home = Home::new();
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/scenes-toy/model.safetensors");
    let json = home.run(&["model", "convert", shipped, "--out", "again.safetensors", "--json"]).works().json();
    let open = |path: &std::path::Path| nets::weights::Checkpoint::open(path).expect("weights");
    let (old, new) = (open(std::path::Path::new(shipped)), open(&home.path("again.safetensors")));
    assert_eq!(json["tensors"].as_u64(), Some(new.tensors().len() as u64));
    for (name, _) in old.tensors() {
        assert_eq!(old.floats(name).expect("numbers"), new.floats(name).expect("numbers"), "{name}");
    }
    home.run(&["model", "convert", shipped, "--out", "again.safetensors"]).fails(2, "is there already");
    home.run(&["model", "convert", shipped, "--out", "again.bin"]).fails(2, "does not end in .safetensors");
    let foreign = home.run(&["model", "convert", shipped, "--names", "lavis", "--out", "lavis.safetensors"]);
    foreign.fails(5, "this is no BLIP-2");
    assert!(!home.path("lavis.safetensors").exists());
    home.write("bomb.pth", b"\x80\x02cos\nsystem\n(S'true'\ntR.");
    home.run(&["model", "convert", "./bomb.pth", "--out", "x.safetensors"]).fails(5, "bomb.pth");
}

/// The rows of a file that NumPy would read, with its shape.
fn npy(bytes: &[u8]) -> (Vec<usize>, Vec<f32>) {
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let head = std::str::from_utf8(&bytes[10..end]).expect("text");
    let shape = head.split_once('(').and_then(|(_, s)| s.split_once(')')).expect("a shape").0;
    let shape = shape.split(", ").map(|n| n.parse().expect("a number")).collect();
    (shape, bytes[end..].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

#[test]
fn vectors_are_those_of_add_and_find_in_the_order_given() {
    let home = Home::new();
    for (name, rgb) in [("red.png", [200, 20, 20]), ("blue.png", [20, 20, 200])] {
        home.write(name, media::png_bytes(&media::Frame::filled(40, 30, rgb)).expect("a picture"));
    }
    home.write("broken.png", "no picture");
    let run = home.run(&["embed", "red.png", "--text", "a red ball", "broken.png", "blue.png", "--json"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.err.contains("left out: broken.png: "), "{run:?}");
    let json = run.json();
    let rows = json["rows"].as_array().expect("rows");
    let vector = |i: usize| -> Vec<f32> {
        rows[i]["vector"].as_array().expect("a vector").iter().map(|v| v.as_f64().expect("a number") as f32).collect()
    };
    assert_eq!((rows[0]["file"].as_str(), rows[1]["text"].as_str()), (Some("red.png"), Some("a red ball")));
    assert!(rows[2]["vector"].is_null() && rows[2]["reason"].is_string());
    assert_ne!(vector(0), vector(3));

    // What `add` keeps is what `embed` prints.
    home.run(&["add", "red.png", "blue.png"]).works();
    let library = library::Library::open(home.path(".local/share/likebut/library")).expect("a library");
    let space: domain::Space = serde_json::from_value(json["space"].clone()).expect("a space");
    for (i, name) in [(0, "red.png"), (3, "blue.png")] {
        let id = library.ids_at(&home.path(name)).expect("it can be read")[0];
        let kept = library.embedding(id, &space).expect("it can be read").expect("it was added").values;
        let near = kept.iter().zip(vector(i)).all(|(a, b)| (a - b).abs() < 1e-3);
        assert!(near, "{name}: the library keeps halves, and nothing else differs");
    }

    // The same rows as a file; a broken one is NaN and the others stay in their places.
    let long = "a red ball ".repeat(400);
    let run = home.run(&["embed", "--text", &long, "--out", "long.npy"]);
    assert!(run.works().err.contains("are not read"), "what is cut is said");
    let run = home.run(&["embed", "red.png", "broken.png", "blue.png", "--out", "x.npy", "--batch", "1"]);
    assert_eq!((run.code, run.out.as_str()), (Some(3), ""), "{run:?}");
    let (shape, numbers) = npy(&std::fs::read(home.path("x.npy")).expect("a file"));
    let dim = space.dim;
    assert_eq!((shape, numbers.len()), (vec![3, dim], 3 * dim));
    assert!(numbers[dim..2 * dim].iter().all(|v| v.is_nan()));
    let same = |row: &[f32], i: usize| row.iter().zip(vector(i)).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(same(&numbers[..dim], 0) && same(&numbers[2 * dim..], 3), "another batch, the same numbers");
    assert!(!home.path("x.npy.tmp").exists());

    let question = ["embed", "--reference", "red.png", "--words", "in blue"];
    let ask = |more: &[&str]| {
        let run = home.run(&[&question[..], more].concat());
        run.works();
        run
    };
    ask(&["--method", "sum", "--out", "q.safetensors"]);
    let file = nets::weights::Checkpoint::open(&home.path("q.safetensors")).expect("a file that others read");
    assert_eq!(file.floats("vectors").expect("vectors").len(), dim);
    assert_eq!(file.about()["space_id"], json["space_id"].as_str().expect("an id"));
    let picture = ask(&["--method", "picture", "--json"]).json();
    let row: Vec<f32> = picture["rows"][0]["vector"]
        .as_array()
        .expect("a vector")
        .iter()
        .map(|v| v.as_f64().expect("a number") as f32)
        .collect();
    assert!(same(&row, 0), "the method picture asks with the reference alone");

    home.run(&["embed", "red.png"]).fails(2, "--out");
    home.run(&["embed", "red.png", "--out", "x.csv"]).fails(2, "neither .npy nor .safetensors");
    home.run(&["embed", "--json"]).fails(2, "required");
}
