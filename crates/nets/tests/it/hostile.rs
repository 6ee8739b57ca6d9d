//! Files that were cut, changed, or made to harm: an error each, no panic, and no more memory than
//! their size allows.

use crate::archive::{checkpoint, zip, zip64};
use crate::memory::taken;
use nets::weights::{Checkpoint, Shelf};
use std::path::Path;

/// Opens, lists and reads everything; how many tensors there were, and the error otherwise.
fn read(bytes: Vec<u8>) -> Result<usize, String> {
    let size = bytes.len();
    let (read, most) = taken(|| {
        let file = Checkpoint::from_bytes(bytes).map_err(|e| e.to_string())?;
        for (name, entry) in file.tensors() {
            let raw = file.raw(name).ok_or("listed, and not there")?.map_err(|e| e.to_string())?;
            let numbers = raw.floats().map_or(0, |f| f.len()).max(raw.into_bytes().len() / 8);
            assert!(numbers <= size, "{name} {entry:?}");
        }
        Ok(file.tensors().len())
    });
    // Lists of names, an f32 for each f16, and the values of a pickle; never a number that a file merely states.
    assert!(most < (1 << 17) + 220 * size, "{most} bytes for a file of {size}");
    read
}

fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden/checkpoints").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{name}: {e}"))
}

const FILES: &[&str] =
    &["kinds.safetensors", "kinds.pth", "phi.pth", "single.pth", "module.pt", "traced.pt", "covr2.ckpt"];

/// A small generator, so that what fails fails again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n.max(1)
    }
}

#[test]
fn cut_anywhere_it_is_an_error() {
    for name in FILES {
        let whole = golden(name);
        read(whole.clone()).unwrap();
        // Every byte of the small ones, and steps through the large.
        for end in (0..whole.len()).step_by(1 + whole.len() / 4096) {
            assert!(read(whole[..end].to_vec()).is_err(), "{name} cut at {end}");
        }
    }
}

#[test]
fn changed_anywhere_nothing_panics() {
    let mut dice = Dice(3);
    let interesting = [0, 1, 0x7f, 0x80, 0xff, b'(', b'.', b'R', b'b', b'2', b'e', b'u', b'Q', b'j'];
    let change = |bytes: &mut Vec<u8>, dice: &mut Dice| {
        for _ in 0..1 + dice.below(6) {
            let at = dice.below(bytes.len());
            match dice.below(5) {
                0 => bytes[at] = interesting[dice.below(interesting.len())],
                1 => bytes[at] ^= 1 << dice.below(8),
                2 => drop(bytes.remove(at)),
                3 => bytes.insert(at, interesting[dice.below(interesting.len())]),
                _ => {
                    let (from, n) = (dice.below(bytes.len()), dice.below(24));
                    let copied = bytes[from..bytes.len().min(from + n)].to_vec();
                    bytes.splice(at..at, copied);
                }
            }
        }
    };
    let mut readable = 0;
    for name in ["kinds.safetensors", "kinds.pth", "phi.pth", "single.pth", "module.pt"] {
        let whole = golden(name);
        for _ in 0..1500 {
            let mut bytes = whole.clone();
            change(&mut bytes, &mut dice);
            readable += usize::from(read(bytes).is_ok());
        }
        // The same in the pickle alone, behind a directory that is right.
        let Some(at) = whole.windows(8).position(|w| w == b"data.pkl") else { continue };
        let start = at + whole[at..].iter().position(|b| *b == 0x80).unwrap_or(0);
        let end = start + whole[start..].windows(4).position(|w| w == b"PK\x07\x08").unwrap_or(0);
        for _ in 0..1500 {
            let mut pickle = whole[start..end].to_vec();
            change(&mut pickle, &mut dice);
            readable += usize::from(read(checkpoint(&pickle, &[1; 64])).is_ok());
        }
    }
    assert!(readable > 100, "only {readable} of the changed files could be read: the changes do not reach far");
    // Programs of random instructions.
    let operations = b"(.012NJKMIG\x88\x89\x8aXU)]}t\x85\x86\x87ldaesuqrhjcR\x81bQ\x94\x93\x8c\x8f\x90\x91";
    for _ in 0..20_000 {
        let n = 1 + dice.below(60);
        let program: Vec<u8> = (0..n)
            .flat_map(|_| {
                let operation = operations[dice.below(operations.len())];
                let argument = if b"KqhUX\x8a\x8cJMr".contains(&operation) { dice.below(3) as u8 } else { b'\n' };
                [operation, argument].into_iter().take(1 + usize::from(argument != b'\n'))
            })
            .collect();
        // Whatever it says.
        drop(read(checkpoint(&program, &[0; 16])));
    }
}

/// Instructions that make a tensor of storage 0, on the stack.
fn tensor(count: u32, offset: u32, shape: &[u32], strides: &[u32]) -> Vec<u8> {
    let mut p =
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu"
            .to_vec();
    let int = |p: &mut Vec<u8>, n: u32| {
        p.push(b'J');
        p.extend_from_slice(&n.to_le_bytes());
    };
    int(&mut p, count);
    p.extend_from_slice(b"tQ");
    int(&mut p, offset);
    for list in [shape, strides] {
        p.push(b'(');
        list.iter().for_each(|n| int(&mut p, *n));
        p.push(b't');
    }
    p.extend_from_slice(b"\x89NtR");
    p
}

/// A dictionary of one entry called t.
fn holding(value: &[u8]) -> Vec<u8> {
    [b"\x80\x02}X\x01\0\0\0t", value, b"s."].concat()
}

#[test]
fn lying_sizes_are_errors() {
    let numbers = [0u8; 48];
    let read = |count, offset, shape: &[u32], strides: &[u32]| {
        read(checkpoint(&holding(&tensor(count, offset, shape, strides)), &numbers))
    };
    assert_eq!(read(12, 0, &[3, 4], &[4, 1]), Ok(1));
    assert_eq!(read(12, 4, &[2, 2], &[1, 4]), Ok(1));
    for (count, offset, shape, strides) in [
        (13, 0, &[3u32, 4][..], &[4u32, 1][..]),
        (i32::MAX as u32, 0, &[3, 4], &[4, 1]),
        (12, 1, &[3, 4], &[4, 1]),
        (12, 13, &[1], &[1]),
        (12, i32::MAX as u32, &[1], &[1]),
        (12, 0, &[i32::MAX as u32, i32::MAX as u32, i32::MAX as u32], &[1, 1, 1]),
        (12, 0, &[i32::MAX as u32, 2], &[1, 1]),
        (12, 0, &[2, 2], &[i32::MAX as u32, 1]),
        (12, 0, &[13], &[1]),
    ] {
        assert!(read(count, offset, shape, strides).is_err(), "{count} {offset} {shape:?} {strides:?}");
    }
    // Negative, or of different lengths, or repeated: no tensor, and named.
    for (count, offset, shape, strides) in [
        (u32::MAX, 0, &[1u32][..], &[1u32][..]),
        (12, u32::MAX, &[1], &[1]),
        (12, 0, &[u32::MAX], &[1]),
        (12, 0, &[2], &[u32::MAX]),
        (12, 0, &[2, 2], &[1]),
        (12, 0, &[1_000_000_000], &[0]),
    ] {
        assert_eq!(read(count, offset, shape, strides), Ok(0), "{count} {offset} {shape:?} {strides:?}");
    }
    // In safetensors: overlapping, beyond the end, a product that overflows, a header as long as the world.
    let safe = |header: &str| {
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 8]].concat();
        self::read(bytes)
    };
    assert_eq!(safe(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#), Ok(1));
    for header in [
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
        r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#,
        r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#,
        r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,8]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615]}}"#,
        r#"{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#,
        "[[[[[[[[",
    ] {
        assert!(safe(header).is_err(), "{header}");
    }
    assert!(self::read([&u64::MAX.to_le_bytes()[..], b"{}"].concat()).is_err());
}

#[test]
fn bombs_stay_small() {
    let bomb = |pickle: Vec<u8>| read(checkpoint(&pickle, &[0; 16]));
    // Values without an end, on the stack, in marks, in the memo.
    assert!(bomb([b"N".repeat(3 << 20), b".".to_vec()].concat()).unwrap_err().contains("too many values"));
    assert!(bomb([b"(".repeat(3 << 20), b".".to_vec()].concat()).unwrap_err().contains("too many marks"));
    assert!(bomb([&b"N"[..], &b"2".repeat(3 << 20), b"."].concat()).unwrap_err().contains("too many values"));
    let memo: Vec<u8> = (0..400_000u32).flat_map(|i| [&b"r"[..], &i.to_le_bytes()].concat()).collect();
    assert_eq!(bomb([&b"N"[..], &memo, b"."].concat()), Ok(0));
    let nodes = bomb([&b"N"[..], &b"]0".repeat(1 << 20), b"."].concat());
    assert!(nodes.unwrap_err().contains("more memory than its size allows"));
    // Lists within lists, each twice in the next: 2^60 of them to whoever walks them.
    let mut doubling = b"\x80\x02]q\x00".to_vec();
    for level in 0..60u8 {
        doubling.extend_from_slice(&[b']', b'q', level + 1, b'(', b'h', level, b'h', level, b'e']);
    }
    doubling.push(b'.');
    assert!(bomb(doubling).unwrap_err().contains("without an end"));
    // A list that holds itself, and one a hundred thousand deep.
    assert!(bomb(b"\x80\x02]q\x00h\x00a.".to_vec()).unwrap_err().contains("without an end"));
    let deep = [&b"\x80\x02"[..], &b"]".repeat(100_000), &b"a".repeat(99_999), b"."].concat();
    assert!(bomb(deep).unwrap_err().contains("without an end"));
    // A call whose function is a call whose function is a call.
    let rebuilt = b"ctorch._tensor\n_rebuild_from_type_v2\nq\x00(h\x00Nh\x00Ntq\x01R.";
    assert_eq!(bomb(rebuilt.to_vec()), Ok(0));
    // Lengths that nothing follows.
    for program in [
        &b"X\xff\xff\xff\xffabc."[..],
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc.",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
        b"\x8b\xff\xff\xff\xffabc.",
        b"\x95\xff\xff\xff\xff\xff\xff\xff\xff",
        b"t.",
        b"R.",
        b"\x87.",
        b"(0.",
        b"N(R.",
        b"h\x00.",
        b"\x80\x09.",
        b"cos\nsystem",
        b"\xff.",
        b"",
    ] {
        assert!(bomb(program.to_vec()).is_err(), "{program:?}");
    }
}

#[test]
fn code_in_a_pickle_is_never_run() {
    let proof = std::env::temp_dir().join(format!("likebut-was-run-{}", std::process::id()));
    let call = |function: &str| {
        let command = format!("touch {}", proof.display());
        [format!("c{function}\n(X").as_bytes(), &(command.len() as u32).to_le_bytes(), command.as_bytes(), b"tR"]
            .concat()
    };
    for function in ["os\nsystem", "posix\nsystem", "subprocess\ncheck_output", "builtins\neval", "torch\nload"] {
        // Alone, beside a tensor, in the place of one, and as the state of an object.
        assert_eq!(read(checkpoint(&[&call(function)[..], b"."].concat(), &[])), Ok(0));
        let beside =
            [&b"}(X\x01\0\0\0a"[..], &call(function), b"X\x01\0\0\0t", &tensor(2, 0, &[2], &[1]), b"u."].concat();
        assert_eq!(read(checkpoint(&beside, &[0; 8])), Ok(1));
        assert_eq!(read(checkpoint(&holding(&call(function)), &[])), Ok(0));
        let state = [&b"cx\ny\n)\x81"[..], &call(function), b"b."].concat();
        assert_eq!(read(checkpoint(&state, &[])), Ok(0));
    }
    assert!(!proof.exists());
}

#[test]
fn zips_that_contradict_themselves_are_errors() {
    let pickle = holding(&tensor(2, 0, &[2], &[1]));
    let good = checkpoint(&pickle, &[0; 8]);
    assert_eq!(read(good.clone()), Ok(1));
    let at = |what: &[u8], nth: usize| {
        let mut found = good.windows(what.len()).enumerate().filter(|(_, w)| *w == what).map(|(i, _)| i);
        found.nth(nth).unwrap()
    };
    let with = |at: usize, new: &[u8]| {
        let mut file = good.clone();
        file[at..at + new.len()].copy_from_slice(new);
        read(file)
    };
    let central = at(b"PK\x01\x02", 0);
    let third = at(b"PK\x01\x02", 2);
    let end = at(b"PK\x05\x06", 0);
    // Compressed, encrypted, beyond the end, over another entry, another's local header, more entries than there are.
    assert!(with(central + 10, &[8]).unwrap_err().contains("compressed"));
    assert!(with(third + 8, &[1]).unwrap_err().contains("encrypted"));
    assert!(with(third + 20, &[0xff, 0xff, 0xff, 0x7f]).is_err());
    assert!(with(central + 20, &((pickle.len() + 20) as u32).to_le_bytes()).unwrap_err().contains("overlap"));
    assert!(with(third + 42, &[1]).is_err() && with(third + 42, &[0, 0, 0, 0]).unwrap_err().contains("overlap"));
    assert!(
        with(end + 10, &[0xff, 0xff]).is_err()
            && with(end + 12, &[0xff; 4]).is_err()
            && with(end + 16, &[0xff; 4]).is_err()
    );
    // Two of a name, none that matters, another machine's bytes.
    assert!(read(zip(&[("a/data.pkl", &pickle), ("a/data.pkl", &pickle)])).unwrap_err().contains("twice"));
    assert!(read(zip(&[("a/data.pkl", &pickle), ("b/data.pkl", &pickle)])).unwrap_err().contains("several"));
    assert!(read(zip(&[("a/other", b"x")])).unwrap_err().contains("no data.pkl"));
    assert!(read(zip(&[("a/data.pkl", &pickle)])).unwrap_err().contains("not in the zip"));
    let big = zip(&[("a/data.pkl", &pickle), ("a/byteorder", b"big"), ("a/data/0", &[0; 8])]);
    assert!(read(big).unwrap_err().contains("big-endian"));
}

#[test]
fn sizes_of_64_bits_are_read_and_may_lie_no_more_than_others() {
    let numbers: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|n| n.to_le_bytes()).collect();
    let pickle = holding(&tensor(2, 0, &[2], &[1]));
    let good = zip64(&[("a/data.pkl", &pickle), ("a/data/0", &numbers)]);
    assert_eq!(Checkpoint::from_bytes(good.clone()).unwrap().floats("t").unwrap(), [1.5, -2.0]);
    let extra = good.windows(4).position(|w| w == [1, 0, 24, 0]).unwrap();
    let end = good.windows(4).position(|w| w == b"PK\x06\x06").unwrap();
    for at in [extra + 12, extra + 20, end + 32, end + 40, end + 48, end + 64] {
        for lie in [u64::MAX, u64::MAX / 2, 1 << 40] {
            let mut file = good.clone();
            file[at..at + 8].copy_from_slice(&lie.to_le_bytes());
            assert!(read(file).is_err(), "{lie} at {at}");
        }
    }
}
