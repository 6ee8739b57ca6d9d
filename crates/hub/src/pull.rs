//! Bringing a model: ask what there is, look what is here, fetch the rest, hold it against what was
//! announced, and only then let it be seen.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::cache::Cache;
use crate::digest::Digest;
use crate::error::{Error, at};
use crate::http::{Answer, Client, Patience, sleep};
use crate::known::Family;
use crate::listing::{Listed, Listing};
use crate::name::{Repo, check_revision, quoted};
use crate::place::Place;

/// Room that is left to everyone else on the disk.
const SPARE_BYTES: u64 = 64 << 20;
/// Connections that bring nothing, one after the other, before we give up.
const FRUITLESS: u32 = 6;
/// A file larger than this is no model that likebut reads.
const MAX_FILE_BYTES: u64 = 256 << 30;

/// Which model, at which revision, for which use.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Its repository.
    pub repo: Repo,
    /// A branch, tag or commit.
    pub revision: String,
    /// Its layout, which decides what is fetched.
    pub family: Family,
}

impl Source {
    /// Of a known model.
    pub fn of(known: &crate::Known) -> Result<Self, Error> {
        Ok(Self { repo: Repo::parse(known.repo)?, revision: known.revision.to_owned(), family: known.family })
    }
}

/// What a pull would do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What was asked for.
    pub source: Source,
    /// What the revision means now.
    pub commit: String,
    /// The licence that the repository's page states.
    pub licence: Option<String>,
    /// What is needed of it.
    pub files: Vec<Planned>,
    /// How many other files it has.
    pub others: usize,
}

/// One file of a plan.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its name in the repository.
    pub name: String,
    /// Its size in bytes, as announced.
    pub size: u64,
    /// Its digest, as announced.
    pub digest: Digest,
    /// Whether a file of this digest and size is here already.
    pub here: bool,
}

impl Plan {
    /// Bytes in all.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.size).sum()
    }

    /// Bytes that are still to come, whole files counted.
    pub fn missing_bytes(&self) -> u64 {
        self.files.iter().filter(|f| !f.here).map(|f| f.size).sum()
    }
}

/// What happens on the way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'a> {
    /// So many bytes of the plan are here.
    Bytes(u64),
    /// A file is held against its digest, which takes a while for a large one.
    Checking(&'a str),
    /// We wait, and why.
    Waiting {
        /// The reason.
        why: &'a str,
        /// How long, in seconds.
        secs: u64,
    },
}

/// The hub, and what of it is on this disk.
pub struct Hub {
    /// Where and as whom we ask.
    pub place: Place,
    /// What is here.
    pub cache: Cache,
    client: std::sync::OnceLock<Client>,
    pause: Option<std::time::Duration>,
}

impl Hub {
    /// Touches neither disk nor network.
    pub fn new(place: Place) -> Self {
        let cache = Cache { root: place.cache.clone() };
        Self { place, cache, client: std::sync::OnceLock::new(), pause: None }
    }

    /// With another first pause between tries, for tests that have no time.
    pub fn with_pause(self, pause: std::time::Duration) -> Self {
        Self { pause: Some(pause), ..self }
    }

    /// Whoever asks goes through here, and the user's wish for no network is looked at first.
    fn client(&self, what: &str) -> Result<&Client, Error> {
        if self.place.offline {
            return Err(Error::Offline { what: what.to_owned() });
        }
        if self.client.get().is_none() {
            let mut client = Client::new(&self.place)?;
            if let Some(pause) = self.pause {
                client.pause = pause;
            }
            let _ = self.client.set(client);
        }
        self.client.get().ok_or(Error::Stopped)
    }

    /// The folder of a model that is here whole, whoever brought it; asks nobody.
    ///
    /// Whole means that every file is there which the family needs; contents are held against their
    /// digests by [`crate::verify_snapshot`], which reads all of them.
    pub fn find(&self, source: &Source) -> Option<(String, PathBuf)> {
        let commit = self.cache.commit(&source.repo, &source.revision)?;
        let snapshot = self.cache.snapshot(&source.repo, &commit)?;
        let files = self.cache.files(&snapshot);
        let names: Vec<&str> = files.iter().map(|(n, _)| n.as_str()).collect();
        crate::listing::choose(&names, source.family).is_ok().then_some((commit, snapshot))
    }

    /// Asks the hub what it has, and looks what is here.
    pub fn plan(
        &self,
        source: &Source,
        tell: &mut dyn FnMut(Event<'_>),
        stop: &dyn Fn() -> bool,
    ) -> Result<Plan, Error> {
        check_revision(&source.revision)?;
        let client = self.client(&format!("what {} holds at {}", source.repo, source.revision))?;
        let repo = &source.repo;
        let mut waiting = |why: &str, secs: u64| tell(Event::Waiting { why, secs });
        let mut patience = Patience { stop, waiting: &mut waiting };
        let revision = quoted(&source.revision, false);
        let path = format!("/api/models/{repo}/revision/{revision}?blobs=true");
        let json = client.question(&path, &format!("{repo} · {}", source.revision), &mut patience)?;
        let listing = Listing::read(repo, &self.place.endpoint, &json)?;
        let wanted = listing.wanted(repo, source.family)?;
        let others = listing.files.len() - wanted.len();
        let mut files = Vec::with_capacity(wanted.len());
        for file in wanted {
            let (size, digest) = match (file.size, file.digest) {
                (Some(size), Some(digest)) => (size, digest),
                // A mirror that says only names in its listing says the rest when the file is asked for.
                _ => self.announced(client, repo, &listing.commit, &file, &mut patience)?,
            };
            if size > MAX_FILE_BYTES {
                let got = format!("a file of {size} bytes, at most {MAX_FILE_BYTES} are read");
                return Err(Error::Server { host: self.place.endpoint.clone(), what: file.name, got });
            }
            let here = self.here(repo, &listing.commit, &file.name, digest, size).is_some();
            files.push(Planned { name: file.name, size, digest, here });
        }
        Ok(Plan { source: source.clone(), commit: listing.commit, licence: listing.licence, files, others })
    }

    /// Size and digest of a file, from the headers that come with it.
    fn announced(
        &self,
        client: &Client,
        repo: &Repo,
        commit: &str,
        file: &Listed,
        patience: &mut Patience<'_>,
    ) -> Result<(u64, Digest), Error> {
        let what = format!("{repo} · {}", file.name);
        let answer = client.get(&address(repo, commit, &file.name), None, &what, patience)?;
        let bad = |got: &str| Error::Server { host: self.place.endpoint.clone(), what: what.clone(), got: got.into() };
        let (size, digest) = promised(&answer);
        let digest = digest.or(file.digest).ok_or_else(|| bad("no digest, so that what comes could not be checked"))?;
        let size = size.or(file.size).ok_or_else(|| bad("no size"))?;
        Ok((size, digest))
    }

    /// A file with these contents, by its size, in the cache.
    fn here(&self, repo: &Repo, commit: &str, name: &str, digest: Digest, size: u64) -> Option<PathBuf> {
        let has = |path: &Path| std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() == size);
        let blob = self.cache.blob(repo, digest);
        // Without links the snapshot holds the file itself, and there is no blob.
        let own = || self.cache.snapshot(repo, commit).map(|s| s.join(name)).filter(|p| !p.is_symlink() && has(p));
        if has(&blob) { Some(blob) } else { own() }
    }

    /// Does what the plan says. Returns the folder with the files.
    ///
    /// What is here is held against its digest too: it may be of another make, or a disk's mistake.
    /// Stopped at any moment, nothing false is left and nothing that came is lost.
    pub fn pull(
        &self,
        plan: &Plan,
        tell: &mut dyn FnMut(Event<'_>),
        stop: &dyn Fn() -> bool,
    ) -> Result<PathBuf, Error> {
        let repo = &plan.source.repo;
        self.cache.prepare(repo)?;
        let partial = |f: &Planned| std::fs::metadata(self.cache.incomplete(repo, f.digest)).map_or(0, |m| m.len());
        let needed: u64 = plan.files.iter().filter(|f| !f.here).map(|f| f.size.saturating_sub(partial(f))).sum();
        if let Some(free) = self.cache.free_bytes()
            && needed > 0
            && free < needed.saturating_add(SPARE_BYTES)
        {
            return Err(Error::Full { folder: self.cache.root.clone(), free, needed });
        }
        let mut before = 0;
        for file in &plan.files {
            self.bring(plan, file, before, tell, stop)?;
            before += file.size;
            tell(Event::Bytes(before));
        }
        self.cache.point(repo, &plan.source.revision, &plan.commit)?;
        self.cache.snapshot(repo, &plan.commit).ok_or_else(|| Error::Io {
            path: self.cache.folder(repo),
            source: std::io::Error::new(std::io::ErrorKind::NotFound, "what was written is gone again"),
        })
    }

    fn bring(
        &self,
        plan: &Plan,
        file: &Planned,
        before: u64,
        tell: &mut dyn FnMut(Event<'_>),
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let repo = &plan.source.repo;
        let mut told = false;
        let mut others = || {
            if !std::mem::replace(&mut told, true) {
                tell(Event::Waiting { why: "another program is fetching the same file", secs: 0 });
            }
            if stop() { Err(Error::Stopped) } else { Ok(()) }
        };
        let _lock = self.cache.lock(repo, file.digest, &mut others)?;
        let blob = self.cache.blob(repo, file.digest);
        if let Some(path) = self.here(repo, &plan.commit, &file.name, file.digest, file.size) {
            tell(Event::Checking(&file.name));
            if file.digest.of_file(&path)? == file.digest {
                return if path == blob {
                    self.cache.link(repo, &plan.commit, &file.name, file.digest)
                } else {
                    Ok(())
                };
            }
            // Whatever it is, it is not what its name says.
            std::fs::remove_file(&path).map_err(at(&path))?;
        }
        let part = self.cache.incomplete(repo, file.digest);
        let resumed = std::fs::metadata(&part).is_ok_and(|m| m.len() > 0);
        let mut found = self.fetch(plan, file, &part, before, tell, stop)?;
        if found != file.digest && resumed {
            // What lay here before may have been of another make: once more from the beginning.
            std::fs::remove_file(&part).map_err(at(&part))?;
            found = self.fetch(plan, file, &part, before, tell, stop)?;
        }
        if found != file.digest {
            std::fs::remove_file(&part).map_err(at(&part))?;
            return Err(Error::Corrupt {
                file: file.name.clone(),
                expected: file.digest.to_string(),
                got: found.to_string(),
            });
        }
        std::fs::rename(&part, &blob).map_err(at(&blob))?;
        self.cache.link(repo, &plan.commit, &file.name, file.digest)
    }

    /// Fetches until the partial file has the announced size, over as many connections as it takes;
    /// returns the digest of what came.
    fn fetch(
        &self,
        plan: &Plan,
        file: &Planned,
        part: &Path,
        before: u64,
        tell: &mut dyn FnMut(Event<'_>),
        stop: &dyn Fn() -> bool,
    ) -> Result<Digest, Error> {
        let client = self.client(&file.name)?;
        let what = format!("{} · {}", plan.source.repo, file.name);
        let path = address(&plan.source.repo, &plan.commit, &file.name);
        let mut out =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(part).map_err(at(part))?;
        let mut have = out.seek(SeekFrom::End(0)).map_err(at(part))?;
        if have > file.size {
            out.set_len(0).map_err(at(part))?;
            have = 0;
        }
        let mut fruitless = 0;
        while have < file.size {
            let mut waiting = |why: &str, secs: u64| tell(Event::Waiting { why, secs });
            let answer = client.get(&path, Some(have), &what, &mut Patience { stop, waiting: &mut waiting })?;
            self.agrees(file, &answer)?;
            let start = have;
            out.seek(SeekFrom::Start(have)).map_err(at(part))?;
            let mut count = |n: u64| tell(Event::Bytes(before + n));
            let why = stream(answer, file, &mut out, part, &mut have, &mut count, stop)?;
            let Some(why) = why else { break };
            fruitless = if have > start { 0 } else { fruitless + 1 };
            if fruitless >= FRUITLESS {
                return Err(Error::Cut { tries: fruitless, why });
            }
            let pause = client.pause * 2u32.pow(fruitless);
            tell(Event::Waiting { why: &why, secs: pause.as_secs() });
            sleep(pause, stop)?;
        }
        // On the disk before it gets its name: a power cut must not leave a name without contents.
        out.sync_all().map_err(at(part))?;
        tell(Event::Checking(&file.name));
        file.digest.of_file(part)
    }

    /// What comes with the file must be what the listing said.
    fn agrees(&self, file: &Planned, answer: &Answer) -> Result<(), Error> {
        let (size, digest) = promised(answer);
        let other = |got: String| Error::Corrupt {
            file: file.name.clone(),
            expected: format!("{} of {} bytes", file.digest, file.size),
            got,
        };
        match (digest, size) {
            (Some(digest), _) if digest != file.digest => Err(other(format!("the announcement of {digest}"))),
            (_, Some(size)) if size != file.size => Err(other(format!("the announcement of {size} bytes"))),
            _ => Ok(()),
        }
    }
}

/// Where a file lies on the hub.
fn address(repo: &Repo, commit: &str, name: &str) -> String {
    format!("/{repo}/resolve/{commit}/{}", quoted(name, true))
}

/// Size and digest as the hub's own headers have them. Behind a redirect only the linked ones are
/// the file's; a part of a file says the whole's size after the slash.
fn promised(answer: &Answer) -> (Option<u64>, Option<Digest>) {
    let digest = answer.header("x-linked-etag").or_else(|| answer.header("etag")).and_then(Digest::parse);
    let linked = answer.header("x-linked-size").and_then(|v| v.parse().ok());
    let whole = || answer.header("content-range")?.rsplit_once('/')?.1.parse().ok();
    let length = || answer.header("content-length")?.parse().ok();
    let own = if answer.was_sent_on { None } else { whole().or_else(length) };
    (linked.or(own), digest)
}

/// Writes what comes behind what is there. `None` when all is there, else why it ended early.
fn stream(
    answer: Answer,
    file: &Planned,
    out: &mut File,
    part: &Path,
    have: &mut u64,
    count: &mut dyn FnMut(u64),
    stop: &dyn Fn() -> bool,
) -> Result<Option<String>, Error> {
    let range = answer.last.headers.get("content-range");
    // A server that knows no ranges begins at the beginning: what we have is passed over.
    let mut pass = match (answer.last.status, range) {
        (206, Some(range)) => match range.strip_prefix("bytes ").and_then(|r| r.split_once('-')) {
            Some((from, _)) if from.parse() == Ok(*have) => 0,
            _ => return Ok(Some(format!("the server sent {range:?} when asked for what follows {have}"))),
        },
        (206, None) => return Ok(Some("the server sent a part without saying which".into())),
        _ => *have,
    };
    let mut body = answer.last.body;
    let mut piece = vec![0u8; 1 << 17];
    loop {
        if stop() {
            out.flush().map_err(at(part))?;
            return Err(Error::Stopped);
        }
        let n = match body.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Ok(Some(format!("the connection broke ({e})"))),
        };
        let skip = pass.min(n as u64);
        pass -= skip;
        let fresh = &piece[skip as usize..n];
        if *have + fresh.len() as u64 > file.size {
            // Nothing of it can be trusted: a server that counts wrongly may have begun wrongly.
            out.set_len(0).map_err(at(part))?;
            return Err(Error::Corrupt {
                file: file.name.clone(),
                expected: format!("{} bytes", file.size),
                got: "more".into(),
            });
        }
        out.write_all(fresh).map_err(at(part))?;
        *have += fresh.len() as u64;
        count(*have);
    }
    Ok((*have < file.size).then(|| format!("the server ended after {have} of {} bytes", file.size)))
}
