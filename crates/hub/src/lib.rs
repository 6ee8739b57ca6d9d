//! Where are published weights, and are they whole?
//!
//! A table of [known](KNOWN) models; the [cache](Cache) that all tools of the Hugging Face hub share;
//! a [pull](Hub::pull) that brings a model into it, once, checked; and a [store](Store) of the user's
//! own models under names of their own.
//! It opens a connection when [`Hub::plan`] or [`Hub::pull`] is called, and at no other time.
//! What it does not know: tensors, and what a model is for.
//!
//! ```
//! use hub::{Hub, Place, Source};
//! let dir = std::env::temp_dir().join("likebut-doc-none");
//! let env = |name: &str| match name {
//!     "HF_HOME" => Some(dir.display().to_string()),
//!     "HF_HUB_OFFLINE" => Some("1".to_owned()),
//!     _ => None,
//! };
//! let hub = Hub::new(Place::from_env(&env, std::path::Path::new("/")));
//! let source = Source::of(hub::known("bge-vl-base").unwrap()).unwrap();
//! assert!(hub.find(&source).is_none());
//! // Nobody is asked: the user forbade it.
//! assert!(matches!(hub.plan(&source, &mut |_| {}, &|| false), Err(hub::Error::Offline { .. })));
//! ```

mod cache;
mod digest;
mod error;
mod http;
mod known;
mod listing;
mod name;
mod place;
mod pull;
mod store;
mod verify;
mod wire;

pub use cache::Cache;
pub use digest::Digest;
pub use error::Error;
pub use known::{Family, KNOWN, Known, known};
pub use name::{Repo, check_model};
pub use place::{ENDPOINT, Place, Proxies, Token};
pub use pull::{Event, Hub, Plan, Planned, Source};
pub use store::{Imported, Origin, Record, Recorded, Store};
pub use verify::{Verified, verify_snapshot};
