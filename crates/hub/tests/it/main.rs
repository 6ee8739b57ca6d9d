//! Pulls from a hub of our own: whole, broken, lying, gated, absent and forbidden.

mod bad;
mod good;
mod server;

use std::path::PathBuf;
use std::time::Duration;

use hub::{Error, Event, Family, Hub, Place, Repo, Source};
use server::Server;

/// A disk of its own, and a hub to ask.
pub struct Setting {
    dir: tempfile::TempDir,
    /// What is asked.
    pub hub: Hub,
    /// For what.
    pub source: Source,
}

impl Setting {
    /// Asking this server, with these other variables.
    pub fn new(endpoint: &str, more: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let home = dir.path().display().to_string();
        let env = |name: &str| match name {
            "HF_HOME" => Some(home.clone()),
            "HF_ENDPOINT" => Some(endpoint.to_owned()),
            _ => more.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned()),
        };
        let hub = Hub::new(Place::from_env(&env, dir.path())).with_pause(Duration::from_millis(1));
        let repo = Repo::parse("owner/clip").expect("a repository");
        let source = Source { repo, revision: "main".into(), family: Family::Clip };
        Self { dir, hub, source }
    }

    /// The same disk, another hub to ask.
    pub fn again(&self, endpoint: &str) -> Hub {
        let place = Place { endpoint: endpoint.to_owned(), ..self.hub.place.clone() };
        Hub::new(place).with_pause(Duration::from_millis(1))
    }

    /// Plans and pulls.
    pub fn pull(&self) -> Result<PathBuf, Error> {
        pull(&self.hub, &self.source)
    }

    /// Every file below the disk's cache, from its root, sorted; locks and the tag left out.
    pub fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(&self.dir.path().join("hub"), "", &mut found);
        found.retain(|f| !f.starts_with(".locks") && f != "CACHEDIR.TAG");
        found.sort();
        found
    }
}

/// Plans and pulls.
pub fn pull(hub: &Hub, source: &Source) -> Result<PathBuf, Error> {
    let plan = hub.plan(source, &mut |_| {}, &|| false)?;
    hub.pull(&plan, &mut |_| {}, &|| false)
}

/// What was told on the way, in words.
pub fn waits(hub: &Hub, source: &Source) -> (Result<PathBuf, Error>, Vec<String>) {
    let mut told = Vec::new();
    let mut tell = |event: Event<'_>| {
        if let Event::Waiting { why, secs } = event {
            told.push(format!("{secs}: {why}"));
        }
    };
    let done = hub.plan(source, &mut tell, &|| false).and_then(|plan| hub.pull(&plan, &mut tell, &|| false));
    (done, told)
}

fn walk(folder: &std::path::Path, prefix: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() && !entry.path().is_symlink() {
            walk(&entry.path(), &format!("{name}/"), found);
        } else {
            found.push(name);
        }
    }
}

/// An address where nobody listens.
pub fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}", listener.local_addr().expect("it is bound"))
}

/// A server that must not be asked.
pub fn untouched() -> Server {
    Server::start(|_, _| server::Reply::new(500, "nobody should ask"))
}
