//! What comes back.

use crate::ItemId;

/// One answer: an item and how well it fits.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The item.
    pub item: ItemId,
    /// The score; higher is better, comparable within one query only.
    pub score: f32,
    /// Each term's similarity, in the probe's order.
    pub parts: Vec<f32>,
}
