//! A pickle, read without running it.
//!
//! A pickle is a program for a small stack machine, and two of its instructions call whatever
//! Python function the file names: who opens one in Python runs the code of whoever wrote it.
//! This machine knows what the few functions mean that tensors are made of, and calls nothing: for
//! everything else it notes the name and goes on with an object that it cannot look into.
//!
//! Protocols 0 to 5, as CPython's `pickletools` describes the instructions.

use safetensors::Dtype;
use std::collections::HashMap;

/// What is on the stack: small things themselves, others by their number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Int(i64),
    Text(&'a str),
    /// A [`Node`] of the [`Pickle`].
    Node(u32),
    /// None, a float, bytes: nothing that names or places a tensor.
    Other,
}

/// What can hold others, or be shared.
#[derive(Debug)]
pub enum Node<'a> {
    Tuple(Vec<Value<'a>>),
    /// A list or a set.
    List(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    /// A class or a function, by its full name.
    Global(&'a str, &'a str),
    /// Made by something that is not known here, with what was then set on it.
    Object {
        class: (&'a str, &'a str),
        entries: Vec<(Value<'a>, Value<'a>)>,
    },
    Storage(Storage<'a>),
    Tensor(Tensor<'a>),
}

/// Numbers that tensors look at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Storage<'a> {
    /// Absent where the tensor says it, or where nobody here knows it.
    pub dtype: Option<Dtype>,
    /// Which entry of the archive.
    pub key: &'a str,
    /// In elements; in bytes where no type is given.
    pub count: usize,
}

/// A window on a storage.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor<'a> {
    pub storage: Storage<'a>,
    /// In elements.
    pub offset: usize,
    pub shape: Vec<usize>,
    /// In elements.
    pub strides: Vec<usize>,
}

/// All that a pickle made.
#[derive(Debug)]
pub struct Pickle<'a> {
    pub nodes: Vec<Node<'a>>,
    pub root: Value<'a>,
}

/// Values that wait at once; Python itself appends to lists in batches of a thousand.
const MAX_STACK: usize = 1 << 20;

/// Runs the program, allocating no more than about `budget` bytes.
/// The error says what is wrong and at which byte.
pub fn read(program: &[u8], budget: usize) -> Result<Pickle<'_>, String> {
    let mut machine = Machine {
        rest: program,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        nodes: Vec::new(),
        budget,
    };
    loop {
        let at = program.len() - machine.rest.len();
        match machine.step() {
            Ok(None) => {}
            Ok(Some(root)) => return Ok(Pickle { nodes: machine.nodes, root }),
            Err(why) => return Err(format!("its pickle is broken at byte {at}: {why}")),
        }
    }
}

struct Machine<'a> {
    rest: &'a [u8],
    stack: Vec<Value<'a>>,
    /// How high the stack stood at each mark.
    marks: Vec<usize>,
    memo: HashMap<u64, Value<'a>>,
    nodes: Vec<Node<'a>>,
    /// Bytes that may still be allocated.
    budget: usize,
}

type Step<T> = Result<T, &'static str>;

impl<'a> Machine<'a> {
    /// One instruction; the result of the program at its end.
    fn step(&mut self) -> Step<Option<Value<'a>>> {
        let op = self.bytes(1)?[0];
        match op {
            // Frame and version: nothing to do but to skip them.
            0x80 => {
                if self.bytes(1)?[0] > 5 {
                    return Err("a protocol above 5");
                }
            }
            0x95 => {
                self.bytes(8)?;
            }
            b'.' => return self.pop().map(Some),

            // The stack.
            b'(' => {
                if self.marks.len() >= MAX_STACK {
                    return Err("too many marks");
                }
                self.marks.push(self.stack.len());
            }
            b'0' => {
                // A mark may be what is popped.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            b'1' => {
                self.marked()?;
            }
            b'2' => {
                let top = self.top()?;
                self.push(top)?;
            }

            // Constants.
            b'N' => self.push(Value::Other)?,
            0x88 => self.push(Value::Int(1))?,
            0x89 => self.push(Value::Int(0))?,
            b'J' => {
                let n = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(n.into()))?;
            }
            b'K' => {
                let n = self.bytes(1)?[0];
                self.push(Value::Int(n.into()))?;
            }
            b'M' => {
                let n = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(n.into()))?;
            }
            0x8a => {
                let n = usize::from(self.bytes(1)?[0]);
                self.long(n)?;
            }
            0x8b => {
                let n = self.length4()?;
                self.long(n)?;
            }
            b'I' => {
                let n = self.line()?.parse().map_or(Value::Other, Value::Int);
                self.push(n)?;
            }
            b'L' => {
                let n = self.line()?.trim_end_matches('L').parse().map_or(Value::Other, Value::Int);
                self.push(n)?;
            }
            b'F' | b'S' | b'V' => {
                self.line()?;
                self.push(Value::Other)?;
            }
            b'G' => {
                self.bytes(8)?;
                self.push(Value::Other)?;
            }
            0x8c => {
                let n = usize::from(self.bytes(1)?[0]);
                self.text(n)?;
            }
            b'X' => {
                let n = self.length4()?;
                self.text(n)?;
            }
            0x8d => {
                let n = self.length8()?;
                self.text(n)?;
            }
            // Python 2 wrote names as byte strings.
            b'U' => {
                let n = usize::from(self.bytes(1)?[0]);
                self.text(n)?;
            }
            b'T' => {
                let n = self.length4()?;
                self.text(n)?;
            }
            b'C' => {
                let n = usize::from(self.bytes(1)?[0]);
                self.skip(n)?;
            }
            b'B' => {
                let n = self.length4()?;
                self.skip(n)?;
            }
            0x8e | 0x96 => {
                let n = self.length8()?;
                self.skip(n)?;
            }

            // What holds others.
            b')' => self.node(Node::Tuple(Vec::new()))?,
            b']' | 0x8f => self.node(Node::List(Vec::new()))?,
            b'}' => self.node(Node::Dict(Vec::new()))?,
            b't' => {
                let items = self.marked()?;
                self.tuple(items)?;
            }
            0x85..=0x87 => {
                let n = usize::from(op - 0x84);
                let from = self.stack.len().checked_sub(n).ok_or("too few values")?;
                self.above(from)?;
                let items = self.stack.split_off(from);
                self.tuple(items)?;
            }
            b'l' | 0x91 => {
                let items = self.marked()?;
                self.pay(items.len(), 1)?;
                self.node(Node::List(items))?;
            }
            b'd' => {
                let entries = pairs(self.marked()?)?;
                self.pay(entries.len(), 2)?;
                self.node(Node::Dict(entries))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.marked()?;
                self.append(items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(vec![(key, value)])?;
            }
            b'u' => {
                let entries = pairs(self.marked()?)?;
                self.set(entries)?;
            }

            // The memo.
            b'p' => {
                let key = self.line()?.parse().map_err(|_| "a memo key that is no number")?;
                self.keep(key)?;
            }
            b'q' => {
                let key = self.bytes(1)?[0];
                self.keep(key.into())?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.array()?);
                self.keep(key.into())?;
            }
            0x94 => {
                let key = self.memo.len() as u64;
                self.keep(key)?;
            }
            b'g' => {
                let key = self.line()?.parse().map_err(|_| "a memo key that is no number")?;
                self.recall(key)?;
            }
            b'h' => {
                let key = self.bytes(1)?[0];
                self.recall(key.into())?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.array()?);
                self.recall(key.into())?;
            }

            // What in Python would import and call.
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.node(Node::Global(module, name))?;
            }
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                match (module, name) {
                    (Value::Text(module), Value::Text(name)) => self.node(Node::Global(module, name))?,
                    _ => return Err("a class whose name is no text"),
                }
            }
            b'R' | 0x81 => {
                let arguments = self.pop()?;
                let callee = self.pop()?;
                self.call(callee, arguments)?;
            }
            0x92 => {
                self.pop()?;
                let arguments = self.pop()?;
                let callee = self.pop()?;
                self.call(callee, arguments)?;
            }
            b'i' => {
                let class = (self.line()?, self.line()?);
                self.marked()?;
                self.node(Node::Object { class, entries: Vec::new() })?;
            }
            b'o' => {
                let items = self.marked()?;
                let class = items.first().map_or(UNKNOWN, |callee| self.global(*callee));
                self.node(Node::Object { class, entries: Vec::new() })?;
            }
            b'b' => {
                let state = self.pop()?;
                self.build(state)?;
            }
            // Registered extensions: known to one Python alone.
            0x82..=0x84 => {
                self.bytes([1, 2, 4][usize::from(op - 0x82)])?;
                self.node(Node::Object { class: UNKNOWN, entries: Vec::new() })?;
            }
            b'P' => {
                self.line()?;
                self.push(Value::Other)?;
            }
            b'Q' => {
                let id = self.pop()?;
                match self.storage(id) {
                    Some(storage) => self.node(Node::Storage(storage))?,
                    None => self.push(Value::Other)?,
                }
            }
            // Buffers outside the pickle, which no file has.
            0x97 => self.push(Value::Other)?,
            0x98 => {}
            _ => return Err("an instruction that no protocol has"),
        }
        Ok(None)
    }

    /// What a call means, for the few that tensors are made of.
    fn call(&mut self, callee: Value<'a>, arguments: Value<'a>) -> Step<()> {
        let class = self.global(callee);
        let given = match self.get(arguments) {
            Some(Node::Tuple(items)) => items.clone(),
            _ => Vec::new(),
        };
        match class {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3") => {
                match self.tensor(&given, class.1.ends_with("v3")) {
                    Some(tensor) => {
                        self.pay(tensor.shape.len(), 2)?;
                        self.node(Node::Tensor(tensor))
                    }
                    None => self.node(Node::Object { class, entries: Vec::new() }),
                }
            }
            // A parameter is its tensor.
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                self.push(given.first().copied().unwrap_or(Value::Other))
            }
            // A subclass of tensor: (function, class, arguments, state).
            ("torch._tensor", "_rebuild_from_type_v2" | "_rebuild_from_type") if given.len() >= 3 => {
                // A function that is this one again would recurse as deep as the file likes.
                match self.global(given[0]) {
                    ("torch._tensor", _) => self.node(Node::Object { class, entries: Vec::new() }),
                    _ => self.call(given[0], given[2]),
                }
            }
            ("torch", "Size") => self.push(given.first().copied().unwrap_or(Value::Other)),
            ("collections", "OrderedDict" | "defaultdict" | "Counter") | ("builtins" | "__builtin__", "dict") => {
                let listed = match given.first().and_then(|list| self.get(*list)) {
                    Some(Node::List(items) | Node::Tuple(items)) => items.as_slice(),
                    _ => &[],
                };
                let pair = |item: &Value<'a>| match self.get(*item) {
                    Some(Node::List(two) | Node::Tuple(two)) if two.len() == 2 => Some((two[0], two[1])),
                    _ => None,
                };
                let entries: Vec<_> = listed.iter().filter_map(pair).collect();
                self.pay(entries.len(), 2)?;
                self.node(Node::Dict(entries))
            }
            _ => self.node(Node::Object { class, entries: Vec::new() }),
        }
    }

    /// (storage, offset, size, stride, …), with the type in the seventh place in version 3.
    fn tensor(&self, given: &[Value<'a>], typed: bool) -> Option<Tensor<'a>> {
        let [storage, Value::Int(offset), size, stride, ..] = given else { return None };
        let mut storage = match self.get(*storage)? {
            Node::Storage(storage) => *storage,
            _ => return None,
        };
        if typed {
            let dtype = dtype_of(self.global(*given.get(6)?).1)?;
            let size = dtype.bitsize() / 8;
            storage = Storage { dtype: Some(dtype), count: storage.count / size.max(1), ..storage };
        }
        let whole = |list: &Value<'a>| match self.get(*list)? {
            Node::Tuple(items) | Node::List(items) => items
                .iter()
                .map(|n| match n {
                    Value::Int(n) => usize::try_from(*n).ok(),
                    _ => None,
                })
                .collect::<Option<Vec<usize>>>(),
            _ => None,
        };
        let (shape, strides) = (whole(size)?, whole(stride)?);
        (shape.len() == strides.len()).then_some(Tensor {
            storage,
            offset: usize::try_from(*offset).ok()?,
            shape,
            strides,
        })
    }

    /// ("storage", class, key, location, count)
    fn storage(&self, id: Value<'a>) -> Option<Storage<'a>> {
        let Node::Tuple(items) = self.get(id)? else { return None };
        let [Value::Text("storage"), class, Value::Text(key), _, Value::Int(count), ..] = items.as_slice() else {
            return None;
        };
        let dtype = self.global(*class).1.strip_suffix("Storage").and_then(dtype_of);
        Some(Storage { dtype, key, count: usize::try_from(*count).ok()? })
    }

    /// Attributes, set on what is on top.
    fn build(&mut self, state: Value<'a>) -> Step<()> {
        // (attributes, slots) where there are slots.
        let attributes = match self.get(state) {
            Some(Node::Tuple(two)) if two.len() == 2 => two[0],
            _ => state,
        };
        let entries = match self.get(attributes) {
            Some(Node::Dict(entries)) => entries.clone(),
            _ => Vec::new(),
        };
        let Value::Node(at) = self.top()? else { return Ok(()) };
        // A dictionary's attributes are not its entries: `_metadata` of a state dict.
        if matches!(self.nodes.get(at as usize), Some(Node::Object { .. })) {
            self.set(entries)?;
        }
        Ok(())
    }

    fn append(&mut self, items: Vec<Value<'a>>) -> Step<()> {
        self.pay(items.len(), 1)?;
        let Value::Node(at) = self.top()? else { return Ok(()) };
        if let Some(Node::List(list)) = self.nodes.get_mut(at as usize) {
            list.extend(items);
        }
        Ok(())
    }

    fn set(&mut self, new: Vec<(Value<'a>, Value<'a>)>) -> Step<()> {
        self.pay(new.len(), 2)?;
        let Value::Node(at) = self.top()? else { return Ok(()) };
        if let Some(Node::Dict(entries) | Node::Object { entries, .. }) = self.nodes.get_mut(at as usize) {
            entries.extend(new);
        }
        Ok(())
    }

    fn tuple(&mut self, items: Vec<Value<'a>>) -> Step<()> {
        self.pay(items.len(), 1)?;
        self.node(Node::Tuple(items))
    }

    fn node(&mut self, node: Node<'a>) -> Step<()> {
        self.pay(4, 1)?;
        let at = u32::try_from(self.nodes.len()).map_err(|_| "too many values")?;
        self.nodes.push(node);
        self.push(Value::Node(at))
    }

    fn get(&self, value: Value<'a>) -> Option<&Node<'a>> {
        match value {
            Value::Node(at) => self.nodes.get(at as usize),
            _ => None,
        }
    }

    fn global(&self, value: Value<'a>) -> (&'a str, &'a str) {
        match self.get(value) {
            Some(Node::Global(module, name)) => (module, name),
            _ => UNKNOWN,
        }
    }

    fn keep(&mut self, key: u64) -> Step<()> {
        let top = self.top()?;
        self.pay(2, 1)?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Step<()> {
        let value = *self.memo.get(&key).ok_or("a memo that was never kept")?;
        self.push(value)
    }

    /// Pays for so many groups of values; a growing list holds up to twice what is in it.
    fn pay(&mut self, groups: usize, values: usize) -> Step<()> {
        let bytes = groups.saturating_mul(values).saturating_mul(2 * size_of::<Value>());
        self.budget = self.budget.checked_sub(bytes).ok_or("it would take more memory than its size allows")?;
        Ok(())
    }

    fn push(&mut self, value: Value<'a>) -> Step<()> {
        if self.stack.len() >= MAX_STACK {
            return Err("too many values wait on its stack");
        }
        self.stack.push(value);
        Ok(())
    }

    /// Nothing below the last mark can be taken before the mark is.
    fn above(&self, from: usize) -> Step<()> {
        if from < self.marks.last().copied().unwrap_or(0) { Err("too few values above its mark") } else { Ok(()) }
    }

    fn pop(&mut self) -> Step<Value<'a>> {
        self.above(self.stack.len().checked_sub(1).ok_or("too few values")?)?;
        self.stack.pop().ok_or("too few values")
    }

    fn top(&self) -> Step<Value<'a>> {
        self.stack.last().copied().ok_or("too few values")
    }

    /// Everything above the last mark, and the mark.
    fn marked(&mut self) -> Step<Vec<Value<'a>>> {
        let from = self.marks.pop().ok_or("no mark")?;
        if from > self.stack.len() {
            return Err("too few values above its mark");
        }
        Ok(self.stack.split_off(from))
    }

    fn bytes(&mut self, n: usize) -> Step<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or("it ends too early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or("it ends too early")?;
        self.rest = rest;
        Ok(*taken)
    }

    fn length4(&mut self) -> Step<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| "it ends too early")
    }

    fn length8(&mut self) -> Step<usize> {
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| "it ends too early")
    }

    fn line(&mut self) -> Step<&'a str> {
        let end = self.rest.iter().position(|b| *b == b'\n').ok_or("a line without an end")?;
        let line = self.bytes(end + 1)?;
        std::str::from_utf8(&line[..end]).map_err(|_| "a line that is not UTF-8")
    }

    /// Text; what is not UTF-8 is bytes, and names nothing.
    fn text(&mut self, n: usize) -> Step<()> {
        let text = std::str::from_utf8(self.bytes(n)?).map_or(Value::Other, Value::Text);
        self.push(text)
    }

    fn skip(&mut self, n: usize) -> Step<()> {
        self.bytes(n)?;
        self.push(Value::Other)
    }

    /// A signed integer of so many bytes; sizes beyond 8 measure nothing.
    fn long(&mut self, n: usize) -> Step<()> {
        let bytes = self.bytes(n)?;
        let negative = bytes.last().is_some_and(|b| *b >= 0x80);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        let value = match wide.get_mut(..n) {
            Some(low) => {
                low.copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(wide))
            }
            None => Value::Other,
        };
        self.push(value)
    }
}

const UNKNOWN: (&str, &str) = ("", "something unknown");

fn pairs(items: Vec<Value>) -> Step<Vec<(Value, Value)>> {
    if !items.len().is_multiple_of(2) {
        return Err("a key without a value");
    }
    Ok(items.chunks_exact(2).map(|two| (two[0], two[1])).collect())
}

/// A number type by PyTorch's names for storages (`Float`) and types (`float32`).
fn dtype_of(name: &str) -> Option<Dtype> {
    Some(match name {
        "Double" | "float64" => Dtype::F64,
        "Float" | "float32" => Dtype::F32,
        "Half" | "float16" => Dtype::F16,
        "BFloat16" | "bfloat16" => Dtype::BF16,
        "Long" | "int64" => Dtype::I64,
        "Int" | "int32" => Dtype::I32,
        "Short" | "int16" => Dtype::I16,
        "Char" | "int8" => Dtype::I8,
        "Byte" | "uint8" => Dtype::U8,
        "Bool" | "bool" => Dtype::BOOL,
        "uint16" => Dtype::U16,
        "uint32" => Dtype::U32,
        "uint64" => Dtype::U64,
        "float8_e4m3fn" => Dtype::F8_E4M3,
        "float8_e5m2" => Dtype::F8_E5M2,
        _ => return None,
    })
}
