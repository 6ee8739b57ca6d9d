//! What is written can be read again, and is the same each time.

use super::*;

/// A moving pattern with soft edges and a little texture, so that the codec has work to do.
fn frames(width: u32, height: u32, count: u32) -> Vec<Frame> {
    (0..count)
        .map(|t| {
            let mut rgb = Vec::new();
            for y in 0..height {
                for x in 0..width {
                    let near = (x as i32 - 20 - 3 * t as i32).pow(2) + (y as i32 - 30).pow(2) < 200;
                    rgb.extend(if near {
                        [220, 40, 30]
                    } else {
                        [(x * 2) as u8 / 2 + 60, (y * 2) as u8 / 2 + 50, 150]
                    });
                }
            }
            Frame { width, height, rgb }
        })
        .collect()
}

fn mp4(dir: &Path, name: &str) -> Vec<u8> {
    let path = dir.join(name);
    let mut clip = Mp4Writer::create(&path, 96, 64, 12.0).unwrap();
    frames(96, 64, 30).iter().for_each(|f| clip.push(f).unwrap());
    clip.finish().unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn the_same_frames_give_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    assert!(mp4(dir.path(), "a.mp4") == mp4(dir.path(), "b.mp4"));
    let f = &frames(31, 17, 1)[0];
    assert_eq!(png_bytes(f).unwrap(), png_bytes(f).unwrap());
    assert_eq!(jpeg_bytes(f, 90).unwrap(), jpeg_bytes(f, 90).unwrap());
    // Nothing temporary stays behind.
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn an_idr_every_second_and_the_index_first() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = mp4(dir.path(), "a.mp4");
    let at = |kind: &[u8]| bytes.windows(4).position(|w| w == kind).unwrap();
    assert!(at(b"moov") < at(b"mdat"));
    let stss = at(b"stss") + 8;
    let word = |i: usize| u32::from_be_bytes(bytes[stss + 4 * i..stss + 4 * i + 4].try_into().unwrap());
    assert_eq!([word(0), word(1), word(2), word(3)], [3, 1, 13, 25]);
}

#[test]
fn what_cannot_be_written_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("no.mp4");
    for (w, h, fps) in [(15, 16, 24.0), (17, 32, 24.0), (4096, 16, 24.0), (64, 64, 0.0), (64, 64, f64::NAN)] {
        assert_eq!(Mp4Writer::create(&path, w, h, fps).err().unwrap().code(), "bad_request");
    }
    assert!(Mp4Writer::create(&path, 64, 64, 24.0).unwrap().finish().is_err());
    let mut clip = Mp4Writer::create(&path, 64, 64, 24.0).unwrap();
    assert!(clip.push(&Frame::filled(64, 62, [0; 3])).is_err());
    assert!(png_bytes(&Frame { width: 2, height: 2, rgb: vec![0; 11] }).is_err());
    assert!(jpeg_bytes(&Frame::filled(2, 2, [0; 3]), 0).is_err());
    assert_eq!(
        write_png(&dir.path().join("no/such/folder.png"), &Frame::filled(2, 2, [0; 3])).unwrap_err().code(),
        "io"
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
