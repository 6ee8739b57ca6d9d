//! The names of two layouts side by side, read either way.
//!
//! A line says that some tensors of the left layout are one tensor of the right.
//! From the same lines come what loads a module, what converts a file, and what converts it back,
//! so that these cannot disagree.

use super::Source;

/// Two layouts of the same network.
///
/// `*` stands for one segment of a dotted name, the same on both sides; `**`, at the end, for one
/// or more.
/// The first line that matches a name is the one that counts, so exceptions stand before the rule.
pub struct Table {
    /// What the left layout is called.
    pub left: &'static str,
    /// What the right layout is called.
    pub right: &'static str,
    /// Which is which, in groups that several tables may share.
    pub lines: &'static [&'static [Line]],
    /// What only the left has, and why the right does without.
    pub left_only: &'static [(&'static str, &'static str)],
    /// What only the right has, and why the left does without.
    pub right_only: &'static [(&'static str, &'static str)],
}

/// One line of a [`Table`].
pub struct Line {
    /// Joined along the first axis they are the right one; [`ZEROS`] where the right has a part
    /// that the left does not keep.
    pub left: &'static [&'static str],
    /// The right one.
    pub right: &'static str,
    /// What is done with each left one before it is joined.
    pub how: How,
}

/// In a [`Line`]: a part that is zero on the right and absent on the left.
pub const ZEROS: &str = "0";

/// How a left tensor becomes a right one, or a part of it; each can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// As it is.
    Same,
    /// (a, b) is (b, a).
    Transposed,
    /// (3 · p · p, D) is (D, 3, p, p): patches as a product and as a convolution.
    Patch,
    /// (1, …) is (…).
    Led,
    /// (1, 1, …) is (…).
    LedTwice,
}

/// A line of equal tensors.
pub const fn same(left: &'static [&'static str], right: &'static str) -> Line {
    Line { left, right, how: How::Same }
}

/// A line of matrices, turned round.
pub const fn turned(left: &'static [&'static str], right: &'static str) -> Line {
    Line { left, right, how: How::Transposed }
}

impl Table {
    fn all(&self) -> impl Iterator<Item = &'static Line> {
        self.lines.iter().flat_map(|group| group.iter())
    }

    /// Which tensors of the left layout come from this one of the right.
    pub fn left_names(&self, right: &str) -> Vec<String> {
        let found = self.all().find_map(|line| Some((line, matched(line.right, right)?)));
        let Some((line, held)) = found else { return Vec::new() };
        line.left.iter().filter(|p| **p != ZEROS).map(|p| filled(p, &held)).collect()
    }

    /// Which tensor of the right layout this one of the left becomes, or becomes a part of.
    pub fn right_name(&self, left: &str) -> Option<String> {
        self.left_from_right(left)?.leaves().first().map(|name| (*name).to_owned())
    }

    /// Where a tensor of the left layout comes from in the right.
    pub fn left_from_right(&self, name: &str) -> Option<Source> {
        self.all().find_map(|line| {
            let (index, held) =
                line.left.iter().enumerate().find_map(|(i, p)| Some((i, matched(p, name).filter(|_| *p != ZEROS)?)))?;
            let right = Source::of(filled(line.right, &held));
            let part = if line.left.len() == 1 { right } else { right.part(index, line.left.len()) };
            Some(match line.how {
                How::Same => part,
                How::Transposed => part.transposed(),
                How::Patch => part.flat().transposed(),
                How::Led => part.led(),
                How::LedTwice => part.led().led(),
            })
        })
    }

    /// Where a tensor of the right layout comes from in the left.
    pub fn right_from_left(&self, name: &str) -> Option<Source> {
        self.all().find_map(|line| {
            let held = matched(line.right, name)?;
            let one = |pattern: &&str| {
                let left = Source::of(filled(pattern, &held));
                match line.how {
                    How::Same => left,
                    How::Transposed => left.transposed(),
                    How::Patch => Source::Patch(Box::new(left.transposed())),
                    How::Led => left.bare(),
                    How::LedTwice => left.bare().bare(),
                }
            };
            let there = line.left.iter().find(|pattern| **pattern != ZEROS)?;
            let mut parts = line.left.iter().map(|p| if *p == ZEROS { one(there).zeros_like() } else { one(p) });
            if line.left.len() == 1 { parts.next() } else { Some(Source::joined(parts)) }
        })
    }

    /// Why the right layout does without a left tensor, if it does.
    pub fn why_left_only(&self, name: &str) -> Option<&'static str> {
        self.left_only.iter().find(|(pattern, _)| matched(pattern, name).is_some()).map(|(_, why)| *why)
    }

    /// Why the left layout does without a right tensor, if it does.
    pub fn why_right_only(&self, name: &str) -> Option<&'static str> {
        self.right_only.iter().find(|(pattern, _)| matched(pattern, name).is_some()).map(|(_, why)| *why)
    }
}

/// What the wildcards of a pattern stand for in a name; `None` if it is another name.
fn matched<'a>(pattern: &str, name: &'a str) -> Option<Vec<&'a str>> {
    let mut held = Vec::new();
    let mut rest = Some(name);
    for part in pattern.split('.') {
        let left = rest?;
        if part == "**" {
            held.push(left);
            return (!left.is_empty()).then_some(held);
        }
        let (segment, after) = match left.split_once('.') {
            Some((segment, after)) => (segment, Some(after)),
            None => (left, None),
        };
        match part {
            "*" => held.push(segment),
            _ if part == segment => {}
            _ => return None,
        }
        rest = after;
    }
    rest.is_none().then_some(held)
}

/// A pattern with its wildcards replaced, in order.
fn filled(pattern: &str, held: &[&str]) -> String {
    let mut held = held.iter();
    let parts: Vec<&str> = pattern
        .split('.')
        .map(|part| if part.starts_with('*') { held.next().copied().unwrap_or_default() } else { part })
        .collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::super::{Shelf, Tensors};
    use super::*;

    const TABLE: Table = Table {
        left: "apart",
        right: "fused",
        lines: &[&[
            turned(&["layers.*.q.weight", "layers.*.k.weight", "layers.*.v.weight"], "blocks.*.qkv.weight"),
            same(&["layers.*.q.bias", ZEROS, "layers.*.v.bias"], "blocks.*.qkv.bias"),
            same(&["layers.*.out.special"], "blocks.*.odd"),
            same(&["layers.*.out.**"], "blocks.*.proj.**"),
            Line { left: &["patch"], right: "conv.weight", how: How::Patch },
            Line { left: &["token"], right: "class", how: How::Led },
        ]],
        left_only: &[("temp", "a constant")],
        right_only: &[("*.ids", "counted, not learnt")],
    };

    #[test]
    fn lines_are_read_both_ways() {
        let mut left = Tensors::default();
        let mut n = 0.0;
        for (name, shape) in [
            ("layers.0.q.weight", vec![2, 3]),
            ("layers.0.k.weight", vec![2, 3]),
            ("layers.0.v.weight", vec![2, 3]),
            ("layers.0.q.bias", vec![3]),
            ("layers.0.v.bias", vec![3]),
            ("layers.0.out.special", vec![1]),
            ("layers.0.out.deep.weight", vec![2, 2]),
            ("patch", vec![12, 5]),
            ("token", vec![1, 1, 5]),
        ] {
            let count = shape.iter().product::<usize>();
            left.map.insert(name.into(), (shape, (0..count).map(|i| n + i as f32).collect()));
            n += 100.0;
        }
        let mut right = Tensors::default();
        for (name, shape) in [
            ("blocks.0.qkv.weight", vec![9, 2]),
            ("blocks.0.qkv.bias", vec![9]),
            ("blocks.0.odd", vec![1]),
            ("blocks.0.proj.deep.weight", vec![2, 2]),
            ("conv.weight", vec![5, 3, 2, 2]),
            ("class", vec![1, 5]),
        ] {
            let raw = TABLE.right_from_left(name).unwrap().read(&left, None).unwrap();
            assert_eq!(raw.shape(), shape, "{name}");
            right.map.insert(name.into(), (shape, raw.floats().unwrap()));
        }
        assert_eq!(right.map["blocks.0.qkv.weight"].1[..4], [0.0, 3.0, 1.0, 4.0]);
        assert_eq!(right.map["blocks.0.qkv.bias"].1, [300., 301., 302., 0., 0., 0., 400., 401., 402.]);
        for name in left.names() {
            let raw = TABLE.left_from_right(name).unwrap().read(&right, None).unwrap();
            assert_eq!(
                (raw.shape(), raw.floats().unwrap()),
                (&left.map[name].0[..], left.map[name].1.clone()),
                "{name}"
            );
        }
    }

    #[test]
    fn names_that_no_line_knows() {
        for name in ["layers.0.q", "layers.0.q.weight.more", "layers", "", "layers..out", "layers.0.out", "0"] {
            assert_eq!(TABLE.left_from_right(name), None, "{name}");
        }
        assert_eq!(TABLE.left_from_right("layers.7.out.a.b"), Some(Source::of("blocks.7.proj.a.b")));
        assert_eq!(TABLE.why_left_only("temp"), Some("a constant"));
        assert_eq!((TABLE.why_right_only("x.ids"), TABLE.why_right_only("ids")), (Some("counted, not learnt"), None));
    }
}
