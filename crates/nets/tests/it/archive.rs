//! A zip as PyTorch would write it, around whatever pickle one likes.

/// A zip of stored entries.
pub fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    written(entries, false)
}

/// A zip whose sizes and places are written with 64 bits, as beyond four gigabytes.
#[allow(dead_code, reason = "the fuzzing programs share this file")]
pub fn zip64(entries: &[(&str, &[u8])]) -> Vec<u8> {
    written(entries, true)
}

fn written(entries: &[(&str, &[u8])], wide: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let mut central = Vec::new();
    for (name, data) in entries {
        let at = file.len() as u32;
        // Version, flags, method, time, date, checksum (nobody reads it), sizes, lengths.
        let mut common = vec![0u8; 26];
        common[0] = 20;
        common[14..18].copy_from_slice(&(data.len() as u32).to_le_bytes());
        common[18..22].copy_from_slice(&(data.len() as u32).to_le_bytes());
        common[22..24].copy_from_slice(&(name.len() as u16).to_le_bytes());
        file.extend_from_slice(b"PK\x03\x04");
        file.extend_from_slice(&common);
        file.extend_from_slice(name.as_bytes());
        file.extend_from_slice(data);
        // Sizes, place: in an extra field of 4 + 24 bytes, where they are wide.
        let (length, place) = (data.len() as u64, u64::from(at));
        if wide {
            common[14..22].copy_from_slice(&[0xff; 8]);
            common[24] = 28;
        }
        central.extend_from_slice(b"PK\x01\x02\x14\x00");
        central.extend_from_slice(&common);
        central.extend_from_slice(&[0; 10]);
        central.extend_from_slice(&if wide { [0xff; 4] } else { at.to_le_bytes() });
        central.extend_from_slice(name.as_bytes());
        if wide {
            central.extend_from_slice(&[1, 0, 24, 0]);
            [length, length, place].iter().for_each(|n| central.extend_from_slice(&n.to_le_bytes()));
        }
    }
    let (at, size, count) = (file.len() as u32, central.len() as u32, entries.len() as u16);
    file.extend_from_slice(&central);
    if wide {
        let end = file.len() as u64;
        file.extend_from_slice(b"PK\x06\x06");
        file.extend_from_slice(&44u64.to_le_bytes());
        file.extend_from_slice(&[0; 12]);
        let whole = [u64::from(count), u64::from(count), u64::from(size), u64::from(at)];
        whole.iter().for_each(|n| file.extend_from_slice(&n.to_le_bytes()));
        file.extend_from_slice(b"PK\x06\x07\0\0\0\0");
        file.extend_from_slice(&end.to_le_bytes());
        file.extend_from_slice(&[1, 0, 0, 0]);
    }
    file.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    if wide {
        file.extend_from_slice(&[0xff; 12]);
    } else {
        file.extend_from_slice(&count.to_le_bytes());
        file.extend_from_slice(&count.to_le_bytes());
        file.extend_from_slice(&size.to_le_bytes());
        file.extend_from_slice(&at.to_le_bytes());
    }
    file.extend_from_slice(&[0, 0]);
    file
}

/// A checkpoint of this pickle, with one storage of these bytes, called 0.
pub fn checkpoint(pickle: &[u8], numbers: &[u8]) -> Vec<u8> {
    zip(&[("archive/data.pkl", pickle), ("archive/byteorder", b"little"), ("archive/data/0", numbers)])
}
