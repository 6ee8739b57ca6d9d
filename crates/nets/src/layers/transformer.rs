//! The transformer that CLIP's and SigLIP's towers share: pre-norm blocks, attention of tokens among
//! themselves, one activation.
//!
//! EVA's block in [`blip2`](crate::blip2) only looks alike: its keys have no bias, and its
//! published weights keep the other two apart.

use super::{Activation, LayerNorm, Linear, Numbers, Sees, self_attention};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use std::sync::{Arc, LazyLock};

/// Blocks, one after the other.
#[derive(Module, Debug)]
pub struct Transformer {
    /// In order.
    pub blocks: Vec<Block>,
    /// The blocks instead, where they are packed when they are first wanted.
    #[module(skip)]
    later: Option<Arc<Later>>,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    causal: bool,
    #[module(skip)]
    activation: Activation,
}

/// Blocks that nobody has asked yet, and what makes them ready.
type Later = LazyLock<Vec<Block>, Box<dyn FnOnce() -> Vec<Block> + Send>>;

/// One block.
#[derive(Module, Debug)]
pub struct Block {
    /// Before attention.
    pub norm1: LayerNorm,
    /// D → 3D: query, key, value side by side.
    pub qkv: Linear,
    /// After attention.
    pub proj: Linear,
    /// Before the feed-forward network.
    pub norm2: LayerNorm,
    /// Widens.
    pub fc1: Linear,
    /// Narrows.
    pub fc2: Linear,
}

impl Transformer {
    /// Weights drawn at random; where `causal`, no token sees a later one.
    pub fn new(
        (width, layers, heads, mlp): (usize, usize, usize, usize),
        causal: bool,
        activation: Activation,
        eps: f64,
        device: &Device,
    ) -> Self {
        // CLIP's own deviations: residual sums stay calm the deeper they go.
        let std = (width as f64).powf(-0.5);
        let last = std * (2.0 * layers as f64).powf(-0.5);
        let block = || Block {
            norm1: LayerNorm::new(width, eps, device),
            qkv: Linear::new(width, 3 * width, std, device),
            proj: Linear::new(width, width, last, device),
            norm2: LayerNorm::new(width, eps, device),
            fc1: Linear::new(width, mlp, (2.0 * width as f64).powf(-0.5), device),
            fc2: Linear::new(mlp, width, last, device),
        };
        Self { blocks: (0..layers).map(|_| block()).collect(), later: None, heads, causal, activation }
    }

    /// x (B, T, D) → what the last block makes of it (B, T, D).
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.blocks().iter().fold(x, |x, block| self.step(block, x))
    }

    /// What [`Self::forward`] makes of one place of each item, `at` it: x (B, T, D) → (B, D).
    ///
    /// After the last attention no place looks at another, so the others go no further: of a block that is
    /// three quarters of its work, and of CLIP's twelve one sixteenth.
    pub fn forward_at(&self, x: Tensor<3>, at: &[usize]) -> Tensor<2> {
        let Some((last, before)) = self.blocks().split_last() else { return places(x, at) };
        let x = before.iter().fold(x, |x, block| self.step(block, x));
        self.widen(last, places(self.mix(last, x.clone()), at), places(x, at))
    }

    /// One block: x (B, T, D) → (B, T, D).
    pub fn step(&self, block: &Block, x: Tensor<3>) -> Tensor<3> {
        self.widen(block, self.mix(block, x.clone()), x)
    }

    /// What each place gathers from the others: x (B, T, D) → (B, T, D).
    fn mix(&self, block: &Block, x: Tensor<3>) -> Tensor<3> {
        let qkv = block.qkv.forward(block.norm1.forward(x)); // (B, T, 3D)
        let sees = if self.causal { Sees::Causal } else { Sees::All };
        self_attention(qkv, self.heads, sees, block.qkv.frozen.rounds())
    }

    /// The rest of a block, which goes on in each place by itself: what it gathered and what it was, both (…, D) → (…, D).
    fn widen<const N: usize>(&self, block: &Block, mixed: Tensor<N>, x: Tensor<N>) -> Tensor<N> {
        let x = block.proj.onto(mixed, x);
        let hidden = block.fc1.then(block.norm2.forward(x.clone()), self.activation);
        block.fc2.onto(hidden, x)
    }

    /// Packs the weights of all blocks, which never change again.
    pub fn pack(&mut self, numbers: Numbers) {
        self.blocks.iter_mut().for_each(|block| block.pack(numbers));
    }

    /// The same once somebody asks: until then they take no memory beyond what is theirs now, which is none for
    /// those that lie in a file.
    ///
    /// Not to be asked first from within rayon's loops: packing is one, and could take up a part of that other
    /// loop that waits for it.
    pub fn pack_later(&mut self, numbers: Numbers) {
        let mut blocks = std::mem::take(&mut self.blocks);
        self.later = Some(Arc::new(LazyLock::new(Box::new(move || {
            blocks.iter_mut().for_each(|block| block.pack(numbers));
            blocks
        }))));
    }

    fn blocks(&self) -> &[Block] {
        self.later.as_deref().map_or(&self.blocks, |later| later)
    }
}

impl Block {
    fn pack(&mut self, numbers: Numbers) {
        for layer in [&mut self.qkv, &mut self.proj, &mut self.fc1, &mut self.fc2] {
            layer.pack(numbers);
        }
    }
}

/// One place of each item: x (B, T, D) → (B, D).
fn places(x: Tensor<3>, at: &[usize]) -> Tensor<2> {
    let [b, t, d] = x.dims();
    let rows: Vec<i32> = at.iter().enumerate().map(|(item, at)| (item * t + at) as i32).collect();
    let rows = Tensor::<1, Int>::from_data(rows.as_slice(), &x.device());
    x.reshape([b * t, d]).select(0, rows)
}
