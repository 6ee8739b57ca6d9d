//! Event files that TensorBoard reads.
//!
//! A file is a list of records: length (u64), masked CRC-32C of the length, data, masked CRC-32C of
//! the data; the data is an `Event` protocol buffer, of which four fields are needed here.
//! Source: TensorFlow's `record_writer.cc` and `event.proto`.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// One event file.
pub struct Events {
    file: File,
}

impl Events {
    /// A new file in `dir`; its name holds the time and the first step, as TensorBoard sorts by name.
    pub fn create(dir: &Path, step: usize) -> std::io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let name = format!("events.out.tfevents.{:010}.likebut.{step}", now() as u64);
        let mut events = Self { file: File::create(dir.join(name))? };
        let mut event = time(now());
        field_bytes(&mut event, 3, b"brain.Event:2");
        events.file.write_all(&record(&event))?;
        Ok(events)
    }

    /// One step's values.
    pub fn add(&mut self, step: usize, values: &[(&str, f32)]) -> std::io::Result<()> {
        self.file.write_all(&record(&scalars(now(), step, values)))
    }
}

/// An event that holds one step's values.
fn scalars(at: f64, step: usize, values: &[(&str, f32)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, value) in values {
        let mut v = Vec::new();
        field_bytes(&mut v, 1, tag.as_bytes());
        v.push((2 << 3) | 5);
        v.extend(value.to_le_bytes());
        field_bytes(&mut summary, 1, &v);
    }
    let mut event = time(at);
    event.push(2 << 3);
    varint(&mut event, step as u64);
    field_bytes(&mut event, 5, &summary);
    event
}

/// The same as it stands in the file.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = length.to_vec();
    out.extend(masked_crc(&length).to_le_bytes());
    out.extend(data);
    out.extend(masked_crc(data).to_le_bytes());
    out
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

fn time(at: f64) -> Vec<u8> {
    let mut event = vec![(1 << 3) | 1];
    event.extend(at.to_le_bytes());
    event
}

fn varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

fn field_bytes(out: &mut Vec<u8>, field: u8, data: &[u8]) {
    out.push((field << 3) | 2);
    varint(out, data.len() as u64);
    out.extend(data);
}

/// CRC-32C (Castagnoli), rotated and shifted as the record format wants it.
fn masked_crc(data: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82F6_3B78 & (0u32.wrapping_sub(crc & 1)));
        }
    }
    (!crc).rotate_right(15).wrapping_add(0xA282_EAD8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        // The check value of CRC-32C is that of "123456789".
        let unmasked = masked_crc(b"123456789").wrapping_sub(0xA282_EAD8).rotate_left(15);
        assert_eq!(unmasked, 0xE306_9283);
    }

    #[test]
    fn a_record_is_byte_for_byte_what_the_format_says() {
        // Put together by hand from record_writer.cc and event.proto, the checksums by another program.
        #[rustfmt::skip]
        let golden = [
            0x2a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // length: 42
            0xae, 0x8d, 0x91, 0xf5, // its masked CRC-32C
            0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x90, 0x40, // field 1, double: wall time 1024.5
            0x10, 0xac, 0x02, // field 2, varint: step 300
            0x2a, 0x1c, // field 5, 28 bytes: summary
            0x0a, 0x0b, // field 1, 11 bytes: a value
            0x0a, 0x04, 0x6c, 0x6f, 0x73, 0x73, // field 1: tag "loss"
            0x15, 0x00, 0x00, 0xc0, 0x3f, // field 2, float: 1.5
            0x0a, 0x0d, // field 1, 13 bytes: a value
            0x0a, 0x06, 0x76, 0x61, 0x6c, 0x5f, 0x72, 0x31, // field 1: tag "val_r1"
            0x15, 0x00, 0x00, 0x80, 0xbe, // field 2, float: -0.25
            0x70, 0xc1, 0x7f, 0xe0, // masked CRC-32C of the data
        ];
        assert_eq!(record(&scalars(1024.5, 300, &[("loss", 1.5), ("val_r1", -0.25)])), golden);
    }
}
