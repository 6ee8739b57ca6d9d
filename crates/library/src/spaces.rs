//! Which spaces a library keeps vectors of, and who may ask in them.

use domain::{Digest, Embedding, Space};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::{Error, Result};
use crate::quantise::MAX_WIDTH;
use crate::store::floats_from;

/// The encoder at the door must answer the test input at least this alike.
const CANARY_COSINE: f32 = 0.999;

/// A space that the library keeps.
#[derive(Clone)]
pub(crate) struct Kept {
    /// Its number in the database.
    pub row: i64,
    pub space: Space,
    pub canary: Vec<f32>,
    pub stamp: Option<i64>,
    pub gone_floor: i64,
}

const KEPT: &str = "SELECT id, model, weights, view, sampling, rows, dim, canary, stamp, gone_floor FROM spaces";

fn kept_from(r: &Row) -> rusqlite::Result<Kept> {
    let space = Space {
        model: r.get(1)?,
        weights: Digest(r.get(2)?),
        view: r.get(3)?,
        sampling: r.get(4)?,
        rows: r.get::<_, u32>(5)? as usize,
        dim: r.get::<_, u32>(6)? as usize,
    };
    Ok(Kept { row: r.get(0)?, space, canary: floats_from(r.get_ref(7)?, 7)?, stamp: r.get(8)?, gone_floor: r.get(9)? })
}

/// All kept spaces, the oldest first.
pub(crate) fn all(conn: &Connection) -> rusqlite::Result<Vec<Kept>> {
    conn.prepare_cached(&format!("{KEPT} ORDER BY id"))?.query_map([], kept_from)?.collect()
}

pub(crate) fn by_id(conn: &Connection, id: &Digest) -> rusqlite::Result<Option<Kept>> {
    conn.prepare_cached(&format!("{KEPT} WHERE digest = ?1"))?.query_row([id.0], kept_from).optional()
}

pub(crate) fn insert(conn: &Connection, space: &Space, canary: &Embedding) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT INTO spaces (digest, model, weights, view, sampling, rows, dim, canary)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            space.id().0,
            space.model,
            space.weights.0,
            space.view,
            space.sampling,
            space.rows as i64,
            space.dim as i64,
            bytemuck::cast_slice::<f32, u8>(&canary.values)
        ],
    )?;
    Ok(())
}

/// The error for a space that is not kept: names the most alike of those that are.
pub(crate) fn differs(kept: &[Kept], asked: &Space) -> Error {
    let score = |k: &Space| {
        [
            k.model == asked.model,
            k.weights == asked.weights,
            k.view == asked.view,
            k.sampling == asked.sampling,
            k.rows == asked.rows,
            k.dim == asked.dim,
        ]
        .into_iter()
        .filter(|same| *same)
        .count()
    };
    let nearest = kept.iter().map(|k| &k.space).max_by_key(|k| score(k));
    match nearest.map(|k| (k, k.same_as(asked))) {
        Some((kept, Err(source))) => Error::SpaceDiffers { kept: kept.to_string(), asked: asked.to_string(), source },
        _ => Error::NoSpace { asked: asked.to_string() },
    }
}

/// Whether a space has a shape that can be kept.
pub(crate) fn check_shape(space: &Space) -> Result<()> {
    let width = space.rows.saturating_mul(space.dim);
    if width == 0 || width > MAX_WIDTH {
        return Err(Error::Vector {
            what: format!("space [{space}]"),
            problem: format!("an item's vectors may hold 1 to {MAX_WIDTH} numbers together, got {width}"),
        });
    }
    Ok(())
}

/// Whether a vector has the shape of its space and only finite numbers.
pub(crate) fn check_vector(space: &Space, embedding: &Embedding, what: &dyn Fn() -> String) -> Result<()> {
    let problem = if embedding.dim != space.dim || embedding.values.len() != space.rows * space.dim {
        let (rows, dim) = (embedding.rows(), embedding.dim);
        format!(
            "expected {}×{} numbers for [{space}], got {rows}×{dim} ({} numbers)",
            space.rows,
            space.dim,
            embedding.values.len()
        )
    } else if let Some(bad) = embedding.values.iter().find(|v| !v.is_finite()) {
        format!("expected finite numbers for [{space}], got {bad}")
    } else {
        return Ok(());
    };
    Err(Error::Vector { what: what(), problem })
}

/// Fails unless the two answers to the test input agree.
pub(crate) fn check_canary(kept: &Kept, canary: &Embedding) -> Result<()> {
    check_vector(&kept.space, canary, &|| "the canary".into())?;
    let cosine = cosine(&kept.canary, &canary.values);
    if cosine >= CANARY_COSINE {
        Ok(())
    } else {
        Err(Error::Canary { space: kept.space.to_string(), cosine, least: CANARY_COSINE })
    }
}

/// Two vectors of zeros are alike; one of zeros is like nothing else.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let (aa, bb) = (dot(a, a), dot(b, b));
    if aa == 0.0 && bb == 0.0 {
        return 1.0;
    }
    let norm = (aa * bb).sqrt();
    if norm > 0.0 { (dot(a, b) / norm) as f32 } else { 0.0 }
}
