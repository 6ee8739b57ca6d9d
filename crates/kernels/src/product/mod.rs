//! The matrix product, in three ideas.
//!
//! *Pack*: both factors are copied block by block into the order in which they will be read, and
//! turned into what the machine multiplies best (f32, or pairs of bf16). Where bf16 are no faster
//! than f32, only a right factor that was packed long before is of bf16: it comes from far, so half the
//! bytes count, and in the registers it is f32 again. For the same reason a large one of
//! f32 that says no more than its [halves](half) would is packed as halves.
//! *Micro-kernel*: a tile of the output stays in registers while k runs.
//! *Epilogue*: bias, activation and residual are applied to a tile while it is in the cache, instead
//! of in passes of their own.
//!
//! Whatever the threads, each number of the output is added up in the same order: along k, in runs of
//! one block. So a result depends on the machine's instructions, never on timing.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(all(test, target_arch = "x86_64", target_os = "linux", not(miri)))]
pub(crate) mod amx_twin;
mod epilogue;
mod half;
mod micro;
mod pack;

pub use epilogue::Epilogue;
pub use pack::bf16_bits;

use crate::Path;
use epilogue::{Place, Turn, Whole, finish};
use micro::{COLUMN_WORDS, Panel, ROW_WORDS, Tile};
use rayon::prelude::*;
use std::cell::RefCell;
use std::marker::PhantomData;

/// Words of k that are worked on at a time. A run this long reads its panel of the right factor from the
/// second-level cache, and that fast enough; a shorter one would come back to the output, to add to what is
/// there, more often (a tenth of a picture's time, at a sixth of this length).
const BLOCK: usize = 1536;

/// Rows of the left factor that are packed and used together, if there are many: such a block stays in the
/// second-level cache.
const ROWS: usize = 72;
/// The most that any tile's blocks have.
const MOST_ROWS: usize = 96;

/// Multiplications that are worth waking another thread for.
const WORTH_SHARING: usize = 1 << 21;

/// Pieces that are enough for every thread to have some, and no thread to wait long for the last.
pub(crate) const PIECES: usize = 16;

/// Numbers of a right factor that are worth keeping as halves. Widening them costs a fiftieth of a batch's time;
/// fewer stay in the cache, and gain nothing.
const WORTH_HALVING: usize = 1 << 18;

/// The largest right factor, in numbers, that is packed as a whole before it is used.
const PACKED_WHOLE: usize = 1 << 25;

/// What is multiplied; sums are always f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Both factors rounded to bf16, eight significant bits: a relative error of at most 2⁻⁸ each. Where the
    /// machine multiplies f32 as fast, a factor that nothing is gained by rounding stays what it is.
    Bf16,
}

/// What the words of both factors hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    F32,
    Bf16,
    /// Of the right factor alone: halves, which say what f32 said, to the bit.
    F16,
    /// Four bytes: unsigned, 128 above their meaning, in the left factor, signed in the right, where the largest of a
    /// column is [`most_byte`].
    Int8,
}

/// What the largest number of a right factor's column becomes as a byte. Where no instruction adds four products at
/// once, two are added in 16 bits, which hold 255 · 64 + 255 · 64: there a bit of each weight is given up rather than a
/// quarter of the speed. (OpenVINO does the same there; ONNX Runtime lets such sums saturate.)
fn most_byte(path: Path) -> u8 {
    match path {
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 | Path::Avx512 if !path.multiplies_bytes() => 64,
        _ => 127,
    }
}

impl Kind {
    /// Numbers in a word.
    fn per_word(self) -> usize {
        match self {
            Kind::F32 => 1,
            Kind::Bf16 | Kind::F16 => 2,
            Kind::Int8 => 4,
        }
    }

    /// What the words of the left factor hold. It is packed for each product anew, so it is made short only where
    /// an instruction multiplies short numbers: elsewhere only the right one is, which comes from far.
    fn left(self, path: Path) -> Self {
        match self {
            Kind::F16 => Kind::F32,
            Kind::Bf16 if !path.multiplies_bf16() => Kind::F32,
            kind => kind,
        }
    }

    /// Numbers of k in a block.
    fn run_of(self, path: Path) -> usize {
        BLOCK * self.left(path).per_word()
    }

    /// The kernel of this path for such words, at work on a job.
    fn run(self, job: &Job<'_>) {
        match (job.path, self) {
            (Path::Portable, Kind::F32 | Kind::F16) => job.run::<micro::PortableF32>(),
            (Path::Portable, Kind::Bf16) => job.run::<micro::PortableBf16>(),
            (Path::Portable, Kind::Int8) => job.run::<micro::PortableInt8>(),
            #[cfg(target_arch = "x86_64")]
            (Path::Avx2, Kind::F32 | Kind::F16) => job.run::<micro::Avx2F32>(),
            #[cfg(target_arch = "x86_64")]
            (Path::Avx2, Kind::Bf16) => job.run::<micro::Avx2Bf16>(),
            #[cfg(target_arch = "x86_64")]
            (Path::Avx512, Kind::Int8) if job.path.multiplies_bytes() => job.run::<micro::Avx512Int8>(),
            #[cfg(target_arch = "x86_64")]
            (Path::Avx2, Kind::Int8) if job.path.multiplies_bytes() => job.run::<micro::Avx2Vnni>(),
            #[cfg(target_arch = "x86_64")]
            (Path::Avx2 | Path::Avx512, Kind::Int8) => job.run::<micro::Avx2Int8>(),
            #[cfg(target_arch = "x86_64")]
            (Path::Avx512 | Path::Avx512Bf16 | Path::Amx, Kind::F32 | Kind::F16) => job.run::<micro::Avx512F32>(),
            #[cfg(target_arch = "x86_64")]
            (Path::Avx512, Kind::Bf16) => job.run::<micro::Avx512Bf16Shifted>(),
            #[cfg(target_arch = "x86_64")]
            (Path::Avx512Bf16, Kind::Bf16) => job.run::<micro::Avx512Bf16>(),
            #[cfg(target_arch = "x86_64")]
            (Path::Avx512Bf16, Kind::Int8) => job.run::<micro::Avx512Int8>(),
            #[cfg(target_arch = "x86_64")]
            (Path::Amx, Kind::Bf16) => job.run::<amx::AmxBf16>(),
            #[cfg(target_arch = "x86_64")]
            (Path::Amx, Kind::Int8) => job.run::<amx::AmxInt8>(),
        }
    }

    /// Columns of a panel of the right factor.
    fn panel(self, path: Path) -> usize {
        match path {
            Path::Portable => 16,
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => 16,
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 if self == Kind::Int8 && !path.multiplies_bytes() => 16,
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 | Path::Avx512Bf16 | Path::Amx => 32,
        }
    }
}

impl From<Precision> for Kind {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Kind::F32,
            Precision::Bf16 => Kind::Bf16,
        }
    }
}

/// A read-only matrix inside a slice: `rows × cols` numbers at `offset + r · row_step + c · col_step`.
#[derive(Clone, Copy)]
pub struct Mat<'a> {
    data: &'a [f32],
    offset: usize,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    row_step: usize,
    col_step: usize,
}

impl<'a> Mat<'a> {
    /// A dense row-major matrix over a whole slice.
    pub fn dense(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, 0, rows, cols, cols)
    }

    /// A row-major window: rows lie `row_step` apart.
    ///
    /// # Panics
    /// If the window does not fit the slice.
    pub fn strided(data: &'a [f32], offset: usize, rows: usize, cols: usize, row_step: usize) -> Self {
        let fits = rows == 0 || cols == 0 || end_of((offset, row_step), (rows, cols)).is_some_and(|e| e <= data.len());
        assert!(fits, "a matrix of {rows} by {cols} does not fit its slice of {}", data.len());
        Self { data, offset, rows, cols, row_step, col_step: 1 }
    }

    /// The same numbers, rows and columns exchanged.
    pub fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_step: self.col_step, col_step: self.row_step, ..self }
    }

    fn at(&self, row: usize, col: usize) -> usize {
        self.offset + row * self.row_step + col * self.col_step
    }
}

/// Where a window of at least one row ends; nowhere if it is larger than memory could be.
fn end_of((offset, row_step): (usize, usize), (rows, cols): (usize, usize)) -> Option<usize> {
    offset.checked_add((rows - 1).checked_mul(row_step)?)?.checked_add(cols)
}

/// Where the output of a product ends: rows that do not overlap, inside a slice of so many numbers.
fn end_of_output(window: (usize, usize), (m, n): (usize, usize), len: usize) -> usize {
    assert!(n <= window.1 || m == 1, "the rows of a product overlap");
    let end = end_of(window, (m, n)).filter(|end| *end <= len);
    assert!(end.is_some(), "the product does not fit its window");
    end.unwrap_or(len)
}

/// `out = epilogue(a · b)`, where `out` is a row-major window into a slice: rows of `b`'s width,
/// `row_step` apart from `offset` on. All of the window is written, and nothing of it read before.
///
/// # Panics
/// If the inner sizes differ, or the window or the epilogue's slices are too short.
pub fn product(
    out: &mut [f32],
    (offset, row_step): (usize, usize),
    a: Mat<'_>,
    b: Mat<'_>,
    precision: Precision,
    epilogue: &Epilogue<'_>,
) {
    let path = Path::chosen();
    let plain = epilogue.activation.is_none() && epilogue.residual.is_none();
    if (precision == Precision::F32 || !path.multiplies_bf16()) && gemm_takes(path) && plain {
        let shared = a.rows.saturating_mul(b.cols).saturating_mul(a.cols) > WORTH_SHARING;
        let threads = if shared { gemm::Parallelism::Rayon(0) } else { gemm::Parallelism::None };
        return by_gemm(out.into(), (offset, row_step), a, b, epilogue.scale, epilogue.bias, threads);
    }
    product_on(path, out, (offset, row_step), a, b, precision, epilogue);
}

/// Whether the `gemm` crate would take the instructions of this path: it always takes the best.
fn gemm_takes(path: Path) -> bool {
    Path::all().last() == Some(&path)
}

/// A slice into which several threads may write, each into windows of its own.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a> {
    at: *mut f32,
    len: usize,
    borrowed: PhantomData<&'a mut [f32]>,
}

// SAFETY: the slice is borrowed mutably, and who writes promises that nobody else does so there.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> From<&'a mut [f32]> for Shared<'a> {
    fn from(out: &'a mut [f32]) -> Self {
        Self { at: out.as_mut_ptr(), len: out.len(), borrowed: PhantomData }
    }
}

impl Shared<'_> {
    /// [`small`] into a window of it.
    ///
    /// # Safety
    /// Nobody else writes this window, or reads it, meanwhile.
    pub unsafe fn small(self, path: Path, window: (usize, usize), a: Mat<'_>, b: Mat<'_>, scale: f32) {
        if gemm_takes(path) {
            by_gemm(self, window, a, b, scale, None, gemm::Parallelism::None);
        } else {
            let size = (b.rows, b.cols);
            run(path, self, window, a, Right::Loose(b), size, Kind::F32, &Epilogue::scale(scale), true);
        }
    }

    /// [`small_packed`] into a window of it.
    ///
    /// # Safety
    /// Nobody else writes this window, or reads it, meanwhile.
    pub unsafe fn small_packed(self, window: (usize, usize), a: Mat<'_>, b: &Packed, scale: f32) {
        run(b.path, self, window, a, Right::Packed(b), (b.rows, b.cols), b.kind, &Epilogue::scale(scale), true);
    }

    /// Where a window of at least one number of it begins, and ends.
    fn window(self, (offset, row_step): (usize, usize), size: (usize, usize)) -> (Window, usize) {
        let end = end_of_output((offset, row_step), size, self.len);
        // SAFETY: it ends inside the slice, and is not empty.
        (Window { at: unsafe { self.at.add(offset) }, row_step }, end)
    }
}

/// `out = scale · a · b` in f32, on this thread alone.
pub(crate) fn small(path: Path, out: &mut [f32], window: (usize, usize), a: Mat<'_>, b: Mat<'_>, scale: f32) {
    // SAFETY: the slice is borrowed for this alone.
    unsafe { Shared::from(out).small(path, window, a, b, scale) }
}

/// `out = scale · a · b`, on this thread alone.
pub(crate) fn small_packed(out: &mut [f32], window: (usize, usize), a: Mat<'_>, b: &Packed, scale: f32) {
    // SAFETY: the slice is borrowed for this alone.
    unsafe { Shared::from(out).small_packed(window, a, b, scale) }
}

/// In f32 the `gemm` crate is some 10 % faster than the kernel of this one.
fn by_gemm(
    out: Shared<'_>,
    window: (usize, usize),
    a: Mat<'_>,
    b: Mat<'_>,
    scale: f32,
    bias: Option<&[f32]>,
    threads: gemm::Parallelism,
) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    assert_eq!(k, b.rows, "inner sizes of a product");
    if m == 0 || n == 0 {
        return;
    }
    let (out, _) = out.window(window, (m, n));
    if bias.is_some() || k == 0 {
        let fill = |row: usize| {
            // SAFETY: a row of the window, which was checked just now; rows do not overlap.
            let row = unsafe { std::slice::from_raw_parts_mut({ out }.at.add(row * out.row_step), n) };
            match bias {
                Some(bias) => row.copy_from_slice(&bias[..n]),
                None => row.fill(0.0),
            }
        };
        if m * n > 1 << 16 { (0..m).into_par_iter().for_each(fill) } else { (0..m).for_each(fill) }
    }
    if k == 0 {
        return;
    }
    // SAFETY: the factors were checked against their slices when they were made, the output just
    // above; the output is borrowed mutably, so it overlaps neither factor; the strides are those of the
    // windows.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.at,
            1,
            out.row_step as isize,
            bias.is_some(),
            a.data.as_ptr().add(a.offset),
            a.col_step as isize,
            a.row_step as isize,
            b.data.as_ptr().add(b.offset),
            b.col_step as isize,
            b.row_step as isize,
            1.0,
            scale,
            false,
            false,
            false,
            threads,
        );
    }
}

/// [`product`] on a path of the caller's choice, which must be one of [`Path::all`].
pub fn product_on(
    path: Path,
    out: &mut [f32],
    (offset, row_step): (usize, usize),
    a: Mat<'_>,
    b: Mat<'_>,
    precision: Precision,
    epilogue: &Epilogue<'_>,
) {
    // Both are packed anew: as what is multiplied.
    let kind = Kind::from(precision).left(path);
    run(path, out.into(), (offset, row_step), a, Right::Loose(b), (b.rows, b.cols), kind, epilogue, false);
}

/// [`product`] with a right factor that was packed before.
///
/// # Panics
/// As `product`; also if the factor was packed as int8 and `a` is not row-major.
pub fn product_packed(
    out: &mut [f32],
    (offset, row_step): (usize, usize),
    a: Mat<'_>,
    b: &Packed,
    epilogue: &Epilogue<'_>,
) {
    assert!(b.kind != Kind::Int8 || a.col_step == 1, "the left factor of an int8 product is row-major");
    run(b.path, out.into(), (offset, row_step), a, Right::Packed(b), (b.rows, b.cols), b.kind, epilogue, false);
}

fn run(
    path: Path,
    out: Shared<'_>,
    (offset, row_step): (usize, usize),
    a: Mat<'_>,
    b: Right<'_>,
    (k, n): (usize, usize),
    kind: Kind,
    epilogue: &Epilogue<'_>,
    alone: bool,
) {
    let m = a.rows;
    assert_eq!(a.cols, k, "inner sizes of a product");
    if m == 0 || n == 0 {
        return;
    }
    let (out, end) = out.window((offset, row_step), (m, n));
    epilogue.check(end, n);
    assert!(Path::all().contains(&path), "this processor does not have {}", path.name());
    kind.run(&Job { path, a, b, size: (m, k, n), kind, epilogue, out, offset, alone });
}

/// The right factor of many products, packed once: the weights of a frozen layer.
pub struct Packed {
    path: Path,
    kind: Kind,
    rows: usize,
    cols: usize,
    words: Words,
    /// Of int8: for each column what its numbers were divided by, and 128 times their sum.
    scales: Vec<f32>,
    sums: Vec<f32>,
}

impl Packed {
    /// Packed as [`product`] would pack it; f32 in half the room where that says the same ([`Packed::halves`]) and
    /// there are so many that they come from far.
    pub fn new(b: Mat<'_>, precision: Precision) -> Self {
        let many = precision == Precision::F32 && b.rows.saturating_mul(b.cols) >= WORTH_HALVING;
        let halves = if many { Self::halves(b) } else { None };
        halves.unwrap_or_else(|| Self::on(Path::chosen(), b, precision.into()))
    }

    /// As halves (IEEE binary16), if all the numbers are some: products are those of f32, to the bit.
    pub fn halves(b: Mat<'_>) -> Option<Self> {
        let path = Path::chosen();
        half::suffice(path, &b).then(|| Self::on(path, b, Kind::F16))
    }

    /// As signed bytes: each column divided by a scale of its own, so that its largest number is ±127, or ±64 on
    /// processors from before there was an instruction for bytes (AVX-VNNI, AVX-512 VNNI). The rows of the left factor
    /// are turned into bytes when they come, their largest number to ±127.
    pub fn int8(b: Mat<'_>) -> Self {
        Self::on(Path::chosen(), b, Kind::Int8)
    }

    /// [`Packed::new`] for a path that the caller has chosen.
    pub(crate) fn rounded(path: Path, b: Mat<'_>) -> Self {
        Self::on(path, b, Kind::Bf16)
    }

    fn on(path: Path, b: Mat<'_>, kind: Kind) -> Self {
        let (k, n) = (b.rows, b.cols);
        let (scales, sums) = match kind {
            Kind::Int8 => pack::scales_of_columns(&b, most_byte(path)),
            _ => Default::default(),
        };
        let words = pack::whole(path, &b, kind, &scales, n.saturating_mul(k) > WORTH_SHARING);
        Self { path, kind, rows: k, cols: n, words, scales, sums }
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.words.0.len() * 64 + (self.scales.len() + self.sums.len()) * 4
    }

    /// Rows and columns.
    pub fn size(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} × {} as {:?} for {}", self.rows, self.cols, self.kind, self.path.name())
    }
}

/// The right factor of a job.
#[derive(Clone, Copy)]
enum Right<'a> {
    Loose(Mat<'a>),
    Packed(&'a Packed),
}

/// Where the output goes.
#[derive(Clone, Copy)]
struct Window {
    at: *mut f32,
    row_step: usize,
}

// SAFETY: the window is borrowed mutably, or promised, while a `Job` lives, and the pieces into
// which a job is cut write different numbers of it.
unsafe impl Send for Window {}
// SAFETY: as above.
unsafe impl Sync for Window {}

/// One product: checked, ready to be cut into pieces.
struct Job<'a> {
    path: Path,
    a: Mat<'a>,
    b: Right<'a>,
    /// Rows, k, columns.
    size: (usize, usize, usize),
    kind: Kind,
    epilogue: &'a Epilogue<'a>,
    out: Window,
    offset: usize,
    /// Whether other threads are left in peace.
    alone: bool,
}

/// A vector's worth of words, aligned as a cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u32; 16]);

/// A buffer of words that starts on a cache line.
#[derive(Default)]
struct Words(Vec<Line>);

impl Words {
    /// At least `n` words, with whatever they held before.
    fn room(&mut self, n: usize) -> &mut [u32] {
        if self.0.len() * 16 < n {
            self.0.resize(n.div_ceil(16), Line([0; 16]));
        }
        // Cut to lines first, so that this is the whole of what was asked for.
        self.0[..n.div_ceil(16)].as_flattened_words()
    }
}

trait Flatten {
    fn as_flattened_words(&mut self) -> &mut [u32];
}

impl Flatten for [Line] {
    fn as_flattened_words(&mut self) -> &mut [u32] {
        // SAFETY: a `Line` is sixteen words and nothing else.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr().cast(), self.len() * 16) }
    }
}

thread_local! {
    /// Blocks of the two factors; kept from one product to the next.
    static SCRATCH: RefCell<(Words, Words)> = RefCell::default();
    /// The left factor of a whole product ([`Left`]); kept likewise.
    static WHOLE: RefCell<Left> = RefCell::default();
}

/// A left factor that many pieces read: packed once, before them. Few rows are cut across, so that every
/// thread has some, and each piece would pack them again.
#[derive(Default)]
struct Left {
    /// Block after block of rows, in each run after run along k, in each its rows, `ROW_WORDS` apart.
    words: Words,
    /// Of bytes: what each row was divided by.
    scales: Vec<f32>,
}

impl Job<'_> {
    fn run<T: Tile>(&self) {
        let (m, k, n) = self.size;
        let shared = !self.alone && m.saturating_mul(n).saturating_mul(k) > WORTH_SHARING;
        // Even cuts: as many blocks as needed, then all of one size.
        let cut = |whole: usize, most: usize, unit: usize| {
            let pieces = whole.div_ceil(most).max(1);
            whole.div_ceil(pieces).next_multiple_of(unit)
        };
        let whole = matches!(self.b, Right::Loose(_)) && m > 2 * T::BLOCK && n.saturating_mul(k) <= PACKED_WHOLE;
        let rows = cut(m, T::BLOCK, T::ROWS);
        let cols = if whole || !shared {
            n
        } else {
            // Few rows, or a long k.
            cut(n, n.div_ceil(PIECES.div_ceil(m.div_ceil(rows))).max(3 * T::COLS), T::COLS)
        };
        let (down, across) = (m.div_ceil(rows), n.div_ceil(cols));
        let made;
        let packed = match self.b {
            Right::Packed(packed) => Some(&packed.words),
            Right::Loose(b) if whole => {
                made = pack::whole(self.path, &b, self.kind, &[], shared);
                Some(&made)
            }
            Right::Loose(_) => None,
        };
        // Taken, not borrowed: this thread may be given another product while it waits for this one.
        let mut left = WHOLE.take();
        let left_packed = shared && across > 1 && self.a.col_step == 1;
        if left_packed {
            self.pack_left(rows, &mut left);
        }
        let ready = left_packed.then_some((&left, rows));
        let piece = |row: usize, col: usize| {
            SCRATCH.with_borrow_mut(|scratch| {
                self.piece::<T>((row, m.min(row + rows)), (col, n.min(col + cols)), (ready, packed), scratch);
            });
        };
        // Block under block: the columns of the right factor that come from memory for the first are near for the rest.
        let piece = |i: usize| piece(i % down * rows, i / down * cols);
        if shared {
            (0..down * across).into_par_iter().with_max_len(1).for_each(piece);
        } else {
            (0..down * across).for_each(piece);
        }
        WHOLE.set(left);
    }

    /// The whole left factor, whose rows run along k, in blocks of so many rows.
    fn pack_left(&self, rows: usize, left: &mut Left) {
        let (m, k, _) = self.size;
        let run = self.kind.run_of(self.path);
        let block = rows * ROW_WORDS * k.div_ceil(run).max(1);
        left.scales.resize(left.scales.len().max(m), 0.0);
        let words = left.words.room(m.div_ceil(rows) * block);
        let pack = |(i, (words, scales)): (usize, (&mut [u32], &mut [f32]))| {
            let rows_here = (i * rows, m.min((i + 1) * rows));
            if self.kind == Kind::Int8 {
                pack::scales_of_rows(self.path, &self.a, rows_here, scales);
            }
            for (from, to) in (0..k).step_by(run).zip(words.chunks_mut(rows * ROW_WORDS)) {
                pack::left(self.path, &self.a, rows_here, (from, k.min(from + run)), self.kind, scales, to);
            }
        };
        words.par_chunks_mut(block).zip(left.scales[..m].par_chunks_mut(rows)).enumerate().for_each(pack);
    }

    /// The rows and columns of one piece, start to end.
    fn piece<T: Tile>(
        &self,
        rows: (usize, usize),
        cols: (usize, usize),
        (ready, packed): (Option<(&Left, usize)>, Option<&Words>),
        scratch: &mut (Words, Words),
    ) {
        let (per, most) = (self.kind.per_word(), self.kind.run_of(self.path));
        let k = self.size.1;
        let panels = self.size.2.div_ceil(T::COLS);
        const { assert!(T::BLOCK <= MOST_ROWS && T::BLOCK.is_multiple_of(T::ROWS) && T::ROWS * T::COLS <= MOST_TILE) };
        let room = ((T::BLOCK + T::ROWS) * ROW_WORDS).max(BLOCK * COLUMN_WORDS);
        let here = scratch.0.room(if ready.is_some() { 0 } else { room });
        let wide = match self.b {
            Right::Loose(_) if packed.is_none() => (cols.1 - cols.0).next_multiple_of(T::COLS),
            Right::Packed(_) if self.kind == Kind::F16 => T::COLS,
            _ => 0,
        };
        let made = scratch.1.room(BLOCK * wide);
        let mut tile = [Line([0; 16]); MOST_TILE / 16];
        let mut row_scales = [0.0; MOST_ROWS];
        let bytes = match self.b {
            Right::Packed(packed) if self.kind == Kind::Int8 => {
                match ready {
                    Some((left, _)) => {
                        row_scales[..rows.1 - rows.0].copy_from_slice(&left.scales[rows.0..rows.1]);
                    }
                    None => pack::scales_of_rows(self.path, &self.a, rows, &mut row_scales),
                }
                Some((&packed.scales[..], &packed.sums[..]))
            }
            _ => None,
        };
        // SAFETY: the path's instructions are there (`run`).
        unsafe { T::enter() };
        for from in (0..k.max(1)).step_by(most) {
            let run = (from, k.min(from + most));
            let words = (run.1 - run.0).div_ceil(per);
            let (order, left): (_, &[u32]) = match ready {
                Some((left, high)) => {
                    let (block, turns) = (rows.0 / high, k.div_ceil(most).max(1));
                    let at = (block * turns + from / most) * high * ROW_WORDS;
                    (micro::Order::Rows, &left.words.words()[at..])
                }
                None => (pack::left(self.path, &self.a, rows, run, self.kind, &row_scales, here), here),
            };
            if let (None, Right::Loose(b)) = (packed, self.b) {
                pack::right(self.path, &b, run, cols, self.kind, T::COLS, made);
            }
            for col in (cols.0..cols.1).step_by(T::COLS) {
                let wide = T::COLS.min(cols.1 - col);
                let size = words * T::COLS;
                let panel = match packed {
                    Some(packed) => &packed.words()[from / per * panels * T::COLS + col * words..][..size],
                    None => &made[(col - cols.0) * words..][..size],
                };
                let (panel, next) = (panel.as_ptr(), panel.as_ptr_range().end);
                let steps = if self.kind == Kind::F16 { run.1 - run.0 } else { words };
                for row in (rows.0..rows.1).step_by(T::ROWS) {
                    let high = T::ROWS.min(rows.1 - row);
                    let at = (row - rows.0) * if order == micro::Order::Rows { ROW_WORDS } else { 1 };
                    self.fetch_soon(row, col, (high, wide));
                    // The next panel comes from far, and its first tile would wait for it: the tiles of this one ask
                    // for it.
                    let tiles = ((row - rows.0) / T::ROWS, (rows.1 - rows.0).div_ceil(T::ROWS));
                    let soon = micro::Soon::share(next, size, steps, tiles);
                    let panel = match (self.kind, tiles.0) {
                        (Kind::F16, 0) => Panel::Halves(panel, made.as_mut_ptr()),
                        (Kind::F16, _) => Panel::Words(made.as_ptr()),
                        _ => Panel::Words(panel),
                    };
                    // SAFETY: `left` has room for all rows of a block, which are whole tiles, and packed
                    // here for one tile more, in either order; `panel` holds `steps` rows of `COLS`, and
                    // `made` has room for a block of them (`wide`);
                    // `tile` has room for the largest tile; the path's features are there (`product_on`).
                    unsafe {
                        T::run(order, left[at..].as_ptr(), panel, steps, soon, (high, wide), tile.as_mut_ptr().cast());
                    }
                    let at = row * self.out.row_step + col;
                    // SAFETY: rows and columns of this piece only, inside the window that was checked.
                    let place = unsafe { Place::new(self.out.at.add(at), self.out.row_step, (high, wide)) };
                    let whole = Whole { epilogue: self.epilogue, bytes, row_scales: &row_scales[row - rows.0..] };
                    let turn = Turn { first: from == 0, last: run.1 == k, at: self.offset + at, col };
                    finish(self.path, &whole, floats(&tile), T::COLS, place, turn);
                }
            }
        }
        // SAFETY: as above.
        unsafe { T::leave() };
    }
}

impl Job<'_> {
    /// Asks for the output under a tile, and for what is added to it, which will be there when its sums are. A
    /// hint: nothing is read.
    #[inline(always)]
    fn fetch_soon(&self, row: usize, col: usize, (rows, cols): (usize, usize)) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let rest = self.epilogue.residual.map(|r| r.as_ptr().wrapping_add(self.offset));
            for at in (row..row + rows).map(|r| r * self.out.row_step) {
                for at in (at + col..at + col + cols).step_by(16) {
                    // SAFETY: prefetching never faults, whatever the address; SSE is part of x86-64.
                    unsafe { _mm_prefetch::<_MM_HINT_T0>(self.out.at.wrapping_add(at).cast()) };
                    if let Some(rest) = rest {
                        // SAFETY: as above.
                        unsafe { _mm_prefetch::<_MM_HINT_T0>(rest.wrapping_add(at).cast()) };
                    }
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (row, col, rows, cols);
    }
}

/// Numbers in the largest tile, and a part of another: a larger tile may be made of smaller ones.
const MOST_TILE: usize = 36 * 32;

fn floats(tile: &[Line]) -> &[f32] {
    // SAFETY: the same bytes, read as f32, which every pattern of bits is.
    unsafe { std::slice::from_raw_parts(tile.as_ptr().cast(), tile.len() * 16) }
}

impl Words {
    fn words(&self) -> &[u32] {
        // SAFETY: a `Line` is sixteen words and nothing else.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * 16) }
    }
}

#[cfg(test)]
mod tests;
