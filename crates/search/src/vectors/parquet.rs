//! Vectors from Parquet tables: a column of lists of floats, and one that names the rows.
//!
//! What pandas, Polars, DuckDB and Hugging Face's `datasets` write. Columns are found by type, and by
//! name where several would do. Row groups come one after the other, so that a table is never in
//! memory twice.

use super::{MAX_BYTES, Named, names_beside};
use parquet::basic::Type;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use std::fs::File;
use std::path::Path;

/// What columns of vectors are called, the surest first.
const VECTORS: [&str; 5] = ["vector", "embedding", "embeddings", "vectors", "features"];
/// What columns that name rows are called.
const NAMES: [&str; 8] = ["name", "id", "item", "key", "file", "path", "image", "image_path"];
/// The name of threads whose panics are the fault of the file that they read.
pub const FOREIGN: &str = "foreign file";
/// Rows that are asked for at a time.
const TOGETHER: usize = 1 << 14;

/// The table at `path`; without a column of names they stand beside it, as for `.npy`.
pub fn read(path: &Path) -> Result<Named, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    // The library answers most damage with errors, and some with a panic: that is the file's fault,
    // and the thread's name tells whoever reports panics so.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(FOREIGN.to_owned());
        let read = thread.spawn_scoped(scope, || table(path, file)).map_err(|e| e.to_string())?;
        read.join().unwrap_or_else(|_| Err("it is damaged: its parts contradict each other".to_owned()))
    })
}

fn table(path: &Path, file: File) -> Result<Named, String> {
    let says = |e: parquet::errors::ParquetError| match e.to_string() {
        text if text.contains("Disabled feature") => {
            "its pages are packed with what is not read here (zstd, brotli); write it with compression=\"snappy\""
                .to_owned()
        }
        text => format!("it is no Parquet that can be read: {text}"),
    };
    let table = SerializedFileReader::new(file).map_err(says)?;
    let schema = table.metadata().file_metadata().schema_descr_ptr();
    let columns: Vec<&ColumnDescriptor> = schema.columns().iter().map(|c| &**c).collect();
    let numbers = chosen(&columns, &VECTORS, "lists of floats", |c| {
        c.max_rep_level() == 1 && matches!(c.physical_type(), Type::FLOAT | Type::DOUBLE)
    })?
    .ok_or_else(|| {
        let all: Vec<String> =
            columns.iter().map(|c| format!("{} ({})", c.path().string(), c.physical_type())).collect();
        format!("no column holds lists of float32 or float64; its columns are {}", all.join(", "))
    })?;
    let called =
        chosen(&columns, &NAMES, "names", |c| c.max_rep_level() == 0 && c.physical_type() == Type::BYTE_ARRAY)?;
    let (mut names, mut values, mut dim, mut rows) = (Vec::new(), Vec::new(), None, 0);
    for group in 0..table.num_row_groups() {
        let group = table.get_row_group(group).map_err(says)?;
        let before = rows;
        let row = |at: usize| format!("row {} of column {}", at + 1, columns[numbers].path().string());
        let mut each = |length: usize| {
            if *dim.get_or_insert(length) != length {
                return Err(format!("{} has {length} numbers, the first {}", row(rows), dim.unwrap_or_default()));
            }
            rows += 1;
            Ok(())
        };
        match group.get_column_reader(numbers).map_err(says)? {
            ColumnReader::FloatColumnReader(r) => lists(r, columns[numbers], &mut values, |v| v, &mut each)?,
            ColumnReader::DoubleColumnReader(r) => lists(r, columns[numbers], &mut values, |v| v as f32, &mut each)?,
            _ => return Err("its pages are of another type than its columns".to_owned()),
        }
        if let Some(called) = called {
            names.extend(strings(&*group, called, columns[called])?);
            if names.len() != rows {
                return Err(format!("{} names for {} vectors in one part", names.len() - before, rows - before));
            }
        }
    }
    let dim = dim.ok_or("it holds no vectors")?;
    if called.is_none() {
        names = names_beside(path, rows)?;
    }
    Ok((names, 1, dim, values))
}

/// The one column that fits; of several the one whose name says so.
fn chosen(
    columns: &[&ColumnDescriptor],
    known: &[&str],
    what: &str,
    fits: impl Fn(&ColumnDescriptor) -> bool,
) -> Result<Option<usize>, String> {
    let root = |i: usize| columns[i].path().parts().first().map(|s| s.to_ascii_lowercase()).unwrap_or_default();
    let all: Vec<usize> = (0..columns.len()).filter(|i| fits(columns[*i])).collect();
    if let [only] = all.as_slice() {
        return Ok(Some(*only));
    }
    let named = known.iter().find_map(|name| all.iter().copied().find(|i| root(*i) == *name));
    match (named, all.is_empty()) {
        (Some(i), _) => Ok(Some(i)),
        (None, true) => Ok(None),
        (None, false) => {
            let names: Vec<String> = all.iter().map(|i| root(*i)).collect();
            Err(format!("{} columns hold {what} ({}); call one of them {:?}", all.len(), names.join(", "), known[0]))
        }
    }
}

/// The lists of a column one after the other; `each` hears how long each is.
fn lists<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    column: &ColumnDescriptor,
    values: &mut Vec<f32>,
    float: impl Fn(T::T) -> f32,
    each: &mut dyn FnMut(usize) -> Result<(), String>,
) -> Result<(), String> {
    let (mut defined, mut repeated, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        defined.clear();
        repeated.clear();
        numbers.clear();
        let (rows, ..) = reader
            .read_records(TOGETHER, Some(&mut defined), Some(&mut repeated), &mut numbers)
            .map_err(|e| e.to_string())?;
        if rows == 0 {
            return Ok(());
        }
        if (values.len() + numbers.len()) as u64 * 4 > MAX_BYTES {
            return Err(format!("its vectors are larger than {} GiB; split it", MAX_BYTES >> 30));
        }
        if defined.iter().any(|d| *d != column.max_def_level()) {
            return Err(format!("column {} has rows or numbers that are missing", column.path().string()));
        }
        // A list begins where nothing repeats.
        let mut length = 0;
        for (i, repeat) in repeated.iter().enumerate() {
            if *repeat == 0 && i > 0 {
                each(length)?;
                length = 0;
            }
            length += 1;
        }
        each(length)?;
        values.extend(numbers.drain(..).map(&float));
    }
}

/// A column of text.
fn strings(group: &dyn RowGroupReader, at: usize, column: &ColumnDescriptor) -> Result<Vec<String>, String> {
    let reader = group.get_column_reader(at).map_err(|e| e.to_string())?;
    let ColumnReader::ByteArrayColumnReader(mut reader) = reader else {
        return Err("its pages are of another type than its columns".to_owned());
    };
    let (mut out, mut defined, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        defined.clear();
        texts.clear();
        let (rows, ..) =
            reader.read_records(TOGETHER, Some(&mut defined), None, &mut texts).map_err(|e| e.to_string())?;
        if rows == 0 {
            return Ok(out);
        }
        if texts.len() != rows {
            return Err(format!("column {} has rows without a name", column.path().string()));
        }
        for text in texts.drain(..) {
            let text =
                text.as_utf8().map_err(|_| format!("a name in column {} is not UTF-8", column.path().string()))?;
            out.push(text.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::vectors::Vectors;
    use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, FloatType};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    use std::sync::Arc;

    /// A table as pandas would write it, two rows to a row group.
    fn written(double: bool, rows: &[(&str, &[f32])]) -> Vec<u8> {
        let kind = if double { "DOUBLE" } else { "FLOAT" };
        let schema = format!(
            "message schema {{ OPTIONAL BYTE_ARRAY title (UTF8); OPTIONAL BYTE_ARRAY name (UTF8); \
             OPTIONAL GROUP embedding (LIST) {{ REPEATED GROUP list {{ OPTIONAL {kind} element; }} }} }}"
        );
        let schema = Arc::new(parse_message_type(&schema).unwrap());
        let codec = parquet::basic::Compression::SNAPPY;
        let properties = Arc::new(WriterProperties::builder().set_compression(codec).build());
        let mut bytes = Vec::new();
        let mut file = SerializedFileWriter::new(&mut bytes, schema, properties).unwrap();
        for part in rows.chunks(2) {
            let mut group = file.next_row_group().unwrap();
            for named in [false, true] {
                let text = |(name, _): &(&str, _)| ByteArray::from(if named { name } else { "of no use" });
                let texts: Vec<ByteArray> = part.iter().map(text).collect();
                let mut column = group.next_column().unwrap().unwrap();
                column.typed::<ByteArrayType>().write_batch(&texts, Some(&vec![1; part.len()]), None).unwrap();
                column.close().unwrap();
            }
            let vector: Vec<f32> = part.iter().flat_map(|r| r.1.iter().copied()).collect();
            let defined = vec![3; vector.len()];
            let repeated: Vec<i16> = part.iter().flat_map(|r| (0..r.1.len()).map(|i| i16::from(i > 0))).collect();
            let mut column = group.next_column().unwrap().unwrap();
            if double {
                let vector: Vec<f64> = vector.iter().map(|v| f64::from(*v)).collect();
                column.typed::<DoubleType>().write_batch(&vector, Some(&defined), Some(&repeated)).unwrap();
            } else {
                column.typed::<FloatType>().write_batch(&vector, Some(&defined), Some(&repeated)).unwrap();
            }
            column.close().unwrap();
            group.close().unwrap();
        }
        file.close().unwrap();
        bytes
    }

    #[test]
    fn tables_give_their_vectors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("v.parquet");
        let rows: [(&str, &[f32]); 3] = [("a", &[0.5, -1.0]), ("b", &[2.0, 3.0]), ("c", &[4.0, 5.0])];
        let want =
            Vectors::new(["a", "b", "c"].map(String::from).into(), 1, 2, vec![0.5, -1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        for double in [false, true] {
            std::fs::write(&path, written(double, &rows)).unwrap();
            assert_eq!(Vectors::read(&path).unwrap(), want);
        }
        std::fs::write(&path, written(false, &[rows[0], ("b", &[1.0])])).unwrap();
        let text = Vectors::read(&path).expect_err("of two lengths").to_string();
        assert!(text.contains("row 2") && text.contains("the first 2"), "{text}");
    }

    #[test]
    fn spoilt_tables_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("v.parquet");
        let good = written(false, &[("a", &[0.5, -1.0]), ("b", &[2.0, 3.0])]);
        for cut in 0..good.len() {
            std::fs::write(&path, &good[..cut]).unwrap();
            assert!(Vectors::read(&path).is_err(), "cut at {cut}");
        }
        let mut refused = 0;
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x55;
            std::fs::write(&path, &bytes).unwrap();
            refused += usize::from(Vectors::read(&path).is_err());
        }
        assert!(refused > good.len() / 4, "{refused} of {}", good.len());
    }
}
