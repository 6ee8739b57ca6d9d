//! One block of EVA's ViT-g/14 with frozen weights: `cargo bench -p likebut-kernels --bench block`.
//! The same block in PyTorch, OpenVINO and ONNX Runtime is `block.py` beside this.
//!
//! 1408 wide, 16 heads of 88, MLP 6144; 257 tokens are 224 pixels, 677 are 364. Weights are packed once
//! and all buffers reused.

use kernels::{
    Activation, AttentionShape, Epilogue, Mat, Packed, Precision, Sees, layer_norm, product_packed, self_attention,
};
use std::time::Instant;

const WIDE: usize = 1408;
const MLP: usize = 6144;

fn main() {
    println!("| tokens | batch | threads | how | ms | its CPU ms | GFLOP/s |");
    println!("|--:|--:|--:|---|--:|--:|--:|");
    let threads: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let threads = if threads.is_empty() { vec![1, 2] } else { threads };
    let kinds: [(&str, &dyn Fn(Mat<'_>) -> Packed); 3] = [
        ("f32", &|m| Packed::new(m, Precision::F32)),
        ("bf16", &|m| Packed::new(m, Precision::Bf16)),
        ("int8", &Packed::int8),
    ];
    let blocks = kinds.map(|(name, pack)| {
        let attends = if name == "f32" { Precision::F32 } else { Precision::Bf16 };
        (name, Block::new(attends, pack))
    });
    for threads in threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
        for (tokens, batch) in [(257, 1), (257, 4), (257, 8), (677, 1), (677, 4)] {
            let mut room = Room::new(batch, tokens);
            for (name, block) in &blocks {
                let (ms, cpu) = pool.install(|| medians(|| block.run(&mut room)));
                let rate = flops(batch, tokens) / ms * 1e-6;
                println!("| {tokens} | {batch} | {threads} | likebut {name} | {ms:.1} | {cpu:.1} | {rate:.0} |");
            }
        }
    }
}

fn flops(batch: usize, tokens: usize) -> f64 {
    let products = WIDE * (3 * WIDE + WIDE + 2 * MLP) + 2 * tokens * WIDE;
    2.0 * (batch * tokens * products) as f64
}

struct Block {
    norm: (Vec<f32>, Vec<f32>),
    /// What attention multiplies.
    attends: Precision,
    qkv: (Packed, Vec<f32>),
    proj: (Packed, Vec<f32>),
    fc1: (Packed, Vec<f32>),
    fc2: (Packed, Vec<f32>),
}

/// What a block writes on its way; reused by all of them.
struct Room {
    batch: usize,
    tokens: usize,
    x: Vec<f32>,
    normed: Vec<f32>,
    qkv: Vec<f32>,
    seen: Vec<f32>,
    hidden: Vec<f32>,
    out: Vec<f32>,
}

impl Room {
    fn new(batch: usize, tokens: usize) -> Self {
        let room = |width: usize| vec![0.0; batch * tokens * width];
        let x = numbers(batch * tokens * WIDE, 1.0);
        Self {
            batch,
            tokens,
            x,
            normed: room(WIDE),
            qkv: room(3 * WIDE),
            seen: room(WIDE),
            hidden: room(MLP),
            out: room(WIDE),
        }
    }
}

impl Block {
    fn new(attends: Precision, pack: &dyn Fn(Mat<'_>) -> Packed) -> Self {
        let linear = |k: usize, n: usize| {
            let w = numbers(k * n, 0.03);
            (pack(Mat::dense(&w, k, n)), numbers(n, 0.02))
        };
        Self {
            norm: (vec![1.0; WIDE], vec![0.0; WIDE]),
            attends,
            qkv: linear(WIDE, 3 * WIDE),
            proj: linear(WIDE, WIDE),
            fc1: linear(WIDE, MLP),
            fc2: linear(MLP, WIDE),
        }
    }

    fn run(&self, r: &mut Room) {
        let m = r.batch * r.tokens;
        layer_norm(&r.x, &self.norm.0, &self.norm.1, 1e-6, &mut r.normed);
        product_packed(
            &mut r.qkv,
            (0, 3 * WIDE),
            Mat::dense(&r.normed, m, WIDE),
            &self.qkv.0,
            &Epilogue::bias(&self.qkv.1),
        );
        let shape = AttentionShape { batch: r.batch, queries: r.tokens, keys: r.tokens, width: WIDE, heads: 16 };
        self_attention(shape, Sees::All, self.attends, &r.qkv, &mut r.seen);

        product_packed(&mut r.out, (0, WIDE), Mat::dense(&r.seen, m, WIDE), &self.proj.0, &added(&self.proj.1, &r.x));
        layer_norm(&r.out, &self.norm.0, &self.norm.1, 1e-6, &mut r.normed);
        let gelu = Epilogue { activation: Some(Activation::Gelu), ..Epilogue::bias(&self.fc1.1) };
        product_packed(&mut r.hidden, (0, MLP), Mat::dense(&r.normed, m, WIDE), &self.fc1.0, &gelu);
        let hidden = Mat::dense(&r.hidden, m, MLP);
        product_packed(&mut r.seen, (0, WIDE), hidden, &self.fc2.0, &added(&self.fc2.1, &r.out));
    }
}

/// A bias, then the residual.
fn added<'a>(bias: &'a [f32], x: &'a [f32]) -> Epilogue<'a> {
    Epilogue { residual: Some(x), ..Epilogue::bias(bias) }
}

fn numbers(n: usize, size: f32) -> Vec<f32> {
    (0..n).map(|i| ((i.wrapping_mul(2_654_435_761) >> 8 & 0xffff) as f32 / 32_768.0 - 1.0) * size).collect()
}

/// Medians of seven, after two for warming up: milliseconds by the clock, and of all processors together.
fn medians(mut work: impl FnMut()) -> (f64, f64) {
    (0..2).for_each(|_| work());
    let (mut clock, mut used) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        let (start, cpu) = (Instant::now(), cpu_ms());
        work();
        clock.push(start.elapsed().as_secs_f64() * 1e3);
        used.push(cpu_ms() - cpu);
    }
    clock.sort_by(f64::total_cmp);
    used.sort_by(f64::total_cmp);
    (clock[3], used[3])
}

/// Processor time that all threads of this process have used, in milliseconds; 0 where Linux does not say.
fn cpu_ms() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks
        .filter_map(|t| std::fs::read_to_string(t.path().join("schedstat")).ok())
        .filter_map(|s| s.split(' ').next()?.parse::<f64>().ok())
        .sum::<f64>()
        * 1e-6
}
