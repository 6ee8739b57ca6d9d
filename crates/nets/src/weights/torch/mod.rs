//! PyTorch's own files (`.pth`, `.pt`, `.ckpt`, `.bin`): a zip of a pickle and of raw numbers.
//!
//! The pickle says which tensors there are and which bytes each looks at; see [`pickle`] for why
//! it is not run.
//! A checkpoint of a training holds more than a model: optimizers, schedules, settings, objects of
//! somebody's classes.
//! What is the model's is found by the usual names (`model`, `state_dict`), and what lies beside it
//! is listed, not read.

mod pickle;
mod zip;

use super::stored::{Contents, Entry};
use super::{Raw, WeightsError};
use pickle::{Node, Pickle, Tensor, Value};
use std::collections::BTreeMap;

/// Where a training keeps its model, the most usual first.
const SECTIONS: &[&str] = &["state_dict", "model_state_dict", "model", "module"];

/// What a tensor is called that is a file's only thing.
const ONLY: &str = "tensor";

/// Objects within objects; a module of modules is some ten deep.
const MAX_DEPTH: usize = 64;

/// What the reading of a pickle may take: twice the file, and something for small ones.
fn budget(file: usize) -> usize {
    file.saturating_mul(2).saturating_add(64 << 20)
}

/// Whether these bytes are for this reader: a zip, or what PyTorch wrote before it wrote zips.
pub fn knows(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK") || is_legacy(bytes)
}

fn is_legacy(bytes: &[u8]) -> bool {
    let tar = bytes.get(257..262).is_some_and(|magic| magic == b"ustar");
    let pickle = matches!(bytes, [0x80, 0..=5, op, ..] if *op != 0);
    tar || pickle
}

/// What the file holds.
///
/// # Errors
/// [`WeightsError::Refused`] for what PyTorch wrote before 1.6, on big-endian machines, or
/// compressed; [`WeightsError::Unreadable`] for what contradicts itself.
pub fn contents(file: &[u8]) -> Result<Contents, WeightsError> {
    if is_legacy(file) {
        return Err(WeightsError::Refused(
            "this is a bare pickle or a tar, as PyTorch wrote before version 1.6; open it once in Python and save it \
             again: torch.save(torch.load(\"old.pth\", map_location=\"cpu\", weights_only=True), \"new.pth\")"
                .into(),
        ));
    }
    let unreadable = |why: &str| WeightsError::Unreadable(why.to_owned());
    let directory = zip::directory(file)?;
    let mut programs = directory.names().filter_map(|name| name.strip_suffix("data.pkl"));
    let folder = match (programs.next(), programs.next()) {
        (Some(folder), None) if folder.is_empty() || folder.ends_with('/') => folder,
        _ => return Err(unreadable("a zip, but not one that PyTorch wrote: it has no data.pkl, or several")),
    };
    let entry = |name: &str| directory.at(&format!("{folder}{name}"));
    if entry("byteorder")?.is_some_and(|at| &file[at] != b"little") {
        return Err(WeightsError::Refused(
            "this was written on a big-endian machine; save it again on a little-endian one, or as safetensors".into(),
        ));
    }
    let program = entry("data.pkl")?.ok_or_else(|| unreadable("it has no data.pkl"))?;
    let pickle = pickle::read(&file[program], budget(file.len())).map_err(WeightsError::Unreadable)?;

    let mut contents = Contents::default();
    let (section, model) = model_in(&pickle, &mut contents)?;
    if !section.is_empty() {
        contents.about.insert("section".into(), section.join("."));
    }
    let mut found = Found { pickle: &pickle, tensors: Vec::new(), skipped: Vec::new(), budget: budget(file.len()) };
    found.walk(model, String::new(), 0)?;
    contents.aside.append(&mut found.skipped);
    for (name, tensor) in found.tensors {
        let storage = entry(&format!("data/{}", tensor.storage.key))?;
        let numbers = storage.ok_or_else(|| {
            WeightsError::Unreadable(format!(
                "tensor {name}: its numbers, {:?}, are not in the zip",
                tensor.storage.key
            ))
        })?;
        match placed(tensor, numbers, file).map_err(|why| WeightsError::Unreadable(format!("tensor {name}: {why}")))? {
            Placed::At(entry) => {
                if contents.tensors.insert(name.clone(), entry).is_some() {
                    return Err(WeightsError::Unreadable(format!("two tensors are called {name}")));
                }
            }
            Placed::Aside(why) => contents.aside.push((name, why.to_owned())),
        }
    }
    Ok(contents)
}

enum Placed {
    At(Entry),
    Aside(&'static str),
}

/// Where a tensor's numbers are, checked against the bytes that are there.
fn placed(tensor: &Tensor, numbers: std::ops::Range<usize>, file: &[u8]) -> Result<Placed, String> {
    let Some(dtype) = tensor.storage.dtype else {
        return Ok(Placed::Aside("numbers of a type that is not known here"));
    };
    let size = dtype.bitsize() / 8;
    let (Some(held), Some(skipped)) = (tensor.storage.count.checked_mul(size), tensor.offset.checked_mul(size)) else {
        return Err("its size is beyond every machine's".into());
    };
    if held > numbers.len() || skipped > held {
        return Err(format!("it wants {held} bytes from byte {skipped}, the zip has {}", numbers.len()));
    }
    let at = numbers.start + skipped..numbers.start + held;
    if tensor.shape.iter().zip(&tensor.strides).any(|(n, stride)| *n > 1 && *stride == 0) {
        return Ok(Placed::Aside("it repeats its numbers (an expanded tensor); save a contiguous copy of it"));
    }
    let raw = Raw::strided(dtype, tensor.shape.clone(), tensor.strides.clone(), &file[at.clone()])?;
    let (strides, at) = match raw.dense_bytes() {
        Some(bytes) => (None, at.start..at.start + bytes),
        None => (Some(tensor.strides.clone()), at),
    };
    Ok(Placed::At(Entry { dtype, shape: tensor.shape.clone(), strides, at, file: 0 }))
}

/// The part of what was saved that is the model, and the names on the way to it.
fn model_in<'a>(pickle: &Pickle<'a>, contents: &mut Contents) -> Result<(Vec<String>, Value<'a>), WeightsError> {
    let (mut way, mut here) = (Vec::new(), pickle.root);
    for _ in 0..MAX_DEPTH {
        let Some(entries) = entries(pickle, here) else { break };
        if entries.iter().any(|(_, v)| matches!(node(pickle, *v), Some(Node::Tensor(_)))) {
            break;
        }
        // How many tensors are in each entry that has any.
        let mut holding = Vec::new();
        for (key, value) in entries {
            let tensors = count(pickle, *value)?;
            if let (Value::Text(key), true) = (key, tensors > 0 && self::entries(pickle, *value).is_some()) {
                holding.push((*key, *value, tensors));
            }
        }
        let usual = SECTIONS.iter().find_map(|name| holding.iter().find(|(key, ..)| key == name));
        // A module is one of several within an object, never the only one that is meant.
        let object = matches!(node(pickle, here), Some(Node::Object { .. }));
        let Some((name, next, _)) = usual.or(holding.first().filter(|_| holding.len() == 1)).filter(|_| !object) else {
            break;
        };
        for (key, value) in entries.iter().filter(|(key, _)| *key != Value::Text(name)) {
            let tensors = holding.iter().find(|(k, ..)| *key == Value::Text(k)).map_or(0, |(.., n)| *n);
            let why = match node(pickle, *value) {
                _ if tensors > 0 => format!("{tensors} tensors beside the model"),
                Some(Node::Object { class, .. }) => format!("an object of the class {}", named(*class)),
                _ => continue,
            };
            if let Value::Text(key) = key {
                contents.aside.push(((*key).to_owned(), why));
            }
        }
        way.push((*name).to_owned());
        here = *next;
    }
    Ok((way, here))
}

fn count(pickle: &Pickle, value: Value) -> Result<usize, WeightsError> {
    let mut found = Found { pickle, tensors: Vec::new(), skipped: Vec::new(), budget: budget(0) };
    found.walk(value, String::new(), 0)?;
    Ok(found.tensors.len())
}

fn node<'p, 'a>(pickle: &'p Pickle<'a>, value: Value<'a>) -> Option<&'p Node<'a>> {
    match value {
        Value::Node(at) => pickle.nodes.get(at as usize),
        _ => None,
    }
}

/// What is in something that has names for what is in it.
fn entries<'p, 'a>(pickle: &'p Pickle<'a>, value: Value<'a>) -> Option<&'p [(Value<'a>, Value<'a>)]> {
    match node(pickle, value)? {
        Node::Dict(entries) | Node::Object { entries, .. } => Some(entries),
        _ => None,
    }
}

fn named(class: (&str, &str)) -> String {
    if class.0.is_empty() { class.1.to_owned() } else { format!("{}.{}", class.0, class.1) }
}

/// Tensors under their full names.
struct Found<'p, 'a> {
    pickle: &'p Pickle<'a>,
    tensors: Vec<(String, &'p Tensor<'a>)>,
    skipped: Vec<(String, String)>,
    /// Bytes that names may still take: what is shared a thousandfold is walked a thousandfold.
    budget: usize,
}

impl<'a> Found<'_, 'a> {
    fn walk(&mut self, value: Value<'a>, name: String, depth: usize) -> Result<(), WeightsError> {
        let endless = || WeightsError::Unreadable("its values lie within each other without an end".into());
        if depth > MAX_DEPTH {
            return Err(endless());
        }
        self.budget = self.budget.checked_sub(name.len() + 64).ok_or_else(endless)?;
        let Some(node) = node(self.pickle, value) else { return Ok(()) };
        let within = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
        match node {
            Node::Tensor(tensor) => {
                let name = if name.is_empty() { ONLY.to_owned() } else { name };
                self.tensors.push((name, tensor));
            }
            Node::Dict(entries) | Node::Object { entries, .. } => {
                let object = matches!(node, Node::Object { .. });
                if let (true, Node::Object { class, .. }) = (entries.is_empty(), node) {
                    let name = if name.is_empty() { ONLY.to_owned() } else { name };
                    self.skipped.push((name, format!("an object of the class {}", self::named(*class))));
                    return Ok(());
                }
                // Later entries of the same key replace earlier ones.
                let last: BTreeMap<String, Value> = entries
                    .iter()
                    .filter_map(|(key, value)| match key {
                        Value::Text(key) => Some(((*key).to_owned(), *value)),
                        Value::Int(n) => Some((n.to_string(), *value)),
                        _ => None,
                    })
                    .collect();
                for (key, value) in last {
                    // A pickled module keeps its tensors in dictionaries that are no part of their names.
                    let own = object && ["_parameters", "_buffers", "_modules"].contains(&key.as_str());
                    let name = if own { name.clone() } else { within(&key) };
                    self.walk(value, name, depth + 1)?;
                }
            }
            Node::List(items) | Node::Tuple(items) => {
                for (i, item) in items.iter().enumerate() {
                    // Most lists are of numbers or words.
                    if matches!(item, Value::Node(_)) {
                        self.walk(*item, within(&i.to_string()), depth + 1)?;
                    }
                }
            }
            Node::Global(..) | Node::Storage(_) => {}
        }
        Ok(())
    }
}
