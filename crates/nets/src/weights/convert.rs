//! A checkpoint in another layout's names: a safetensors file whose every bit is the original's.

use super::{Checkpoint, Loaded, Shelf, Source, Table, WeightsError};
use safetensors::Dtype;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

/// Into which names.
#[derive(Clone, Copy)]
pub enum Way<'a> {
    /// Its own: only the kind of file changes.
    Same,
    /// From a table's left names to its right ones.
    Right(&'a Table),
    /// From a table's right names to its left ones.
    Left(&'a Table),
}

/// A file may hold a tensor under several names; a hostile one under a million.
const MOST_TIMES: usize = 4;

/// Writes `from` as a safetensors file at `to`, under another layout's names.
///
/// Number types are kept, and no number changes. One tensor is in memory at a time.
/// The file is written under another name and renamed into place.
///
/// # Errors
/// [`WeightsError::Mismatch`] if a tensor is of neither layout, or one lacks its counterparts.
pub fn convert(from: &Checkpoint, into: Way, to: &Path) -> Result<Loaded, WeightsError> {
    let (plan, report) = plan(from, into)?;
    let most = from.bytes().saturating_mul(MOST_TIMES).saturating_add(1 << 20);
    let total = plan.values().fold(0usize, |sum, (.., bytes)| sum.saturating_add(*bytes));
    if total > most {
        return Err(WeightsError::Refused(format!(
            "it would become {total} bytes, more than {MOST_TIMES} times the {} it has; its tensors share their numbers",
            from.bytes()
        )));
    }
    let fail = |e: std::io::Error| WeightsError::File { path: to.to_owned(), why: e.to_string() };
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let tmp = to.with_file_name(name);
    let written = write(from, &plan, &tmp, &fail).and_then(|()| std::fs::rename(&tmp, to).map_err(fail));
    if written.is_err() {
        // What is half written is of no use; that it cannot be removed changes nothing.
        drop(std::fs::remove_file(&tmp));
    }
    written.map(|()| report)
}

/// Each tensor to be written: where it comes from, its type, its shape, its bytes.
type Plan = BTreeMap<String, (Source, Dtype, Vec<usize>, usize)>;

fn plan(from: &Checkpoint, into: Way) -> Result<(Plan, Loaded), WeightsError> {
    let mut report = Loaded::default();
    let mut wanted = BTreeSet::new();
    for name in from.names() {
        let (names, why) = match into {
            Way::Same => (vec![name.to_owned()], None),
            Way::Right(table) => (table.right_name(name).into_iter().collect(), table.why_left_only(name)),
            Way::Left(table) => (table.left_names(name), table.why_right_only(name)),
        };
        match why {
            _ if !names.is_empty() => wanted.extend(names),
            Some(why) => report.passed_over.push((name.to_owned(), why.to_owned())),
            None => report.unexpected.push(name.to_owned()),
        }
    }
    let mut plan = Plan::new();
    for name in wanted {
        let source = match into {
            Way::Same => Some(Source::of(&name)),
            Way::Right(table) => table.right_from_left(&name),
            Way::Left(table) => table.left_from_right(&name),
        };
        let Some(source) = source else {
            report.unexpected.push(name);
            continue;
        };
        match source.read(from, None) {
            Ok(raw) => {
                let (dtype, shape) = (raw.dtype(), raw.shape().to_vec());
                let numbers = shape.iter().product::<usize>();
                report.numbers += numbers;
                report.loaded.push(name.clone());
                plan.insert(name, (source, dtype, shape, numbers * dtype.bitsize() / 8));
            }
            Err(WeightsError::Absent(other)) => report.missing.push(format!("{name} (from {other})")),
            Err(fault) => return Err(fault),
        }
    }
    if report.missing.is_empty() && report.unexpected.is_empty() {
        Ok((plan, report))
    } else {
        Err(report.mismatch(&[]))
    }
}

fn write(
    from: &Checkpoint,
    plan: &Plan,
    to: &Path,
    fail: &dyn Fn(std::io::Error) -> WeightsError,
) -> Result<(), WeightsError> {
    // Wide numbers first, so that each begins at a multiple of its width, as readers that map expect.
    let mut order: Vec<_> = plan.iter().collect();
    order.sort_by(|(a, (_, x, ..)), (b, (_, y, ..))| y.bitsize().cmp(&x.bitsize()).then(a.cmp(b)));
    let mut at = 0;
    // Readers of PyTorch's want to be told that this is for them.
    let mut header = serde_json::Map::from_iter([("__metadata__".to_owned(), serde_json::json!({ "format": "pt" }))]);
    for (name, (_, dtype, shape, bytes)) in &order {
        let line = serde_json::json!({ "dtype": dtype, "shape": shape, "data_offsets": [at, at + bytes] });
        header.insert((*name).clone(), line);
        at += bytes;
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = std::io::BufWriter::new(std::fs::File::create(to).map_err(fail)?);
    file.write_all(&(header.len() as u64).to_le_bytes()).map_err(fail)?;
    file.write_all(&header).map_err(fail)?;
    for (name, (source, _, _, bytes)) in order {
        let data = source.read(from, None)?.into_bytes();
        if data.len() != *bytes {
            return Err(WeightsError::Unreadable(format!("tensor {name} changed while it was read")));
        }
        file.write_all(&data).map_err(fail)?;
        drop(data);
        source.leaves().into_iter().for_each(|leaf| from.release(leaf));
    }
    file.into_inner().map_err(|e| fail(e.into_error()))?.sync_all().map_err(fail)
}
