//! Imagery-guided multimodal composition: the imagery scales and shifts the composed feature, as far as
//! the model has confidence in it (Eq. 8–11); and what the paper's ablations put in its place.

use super::config::{Composition, ConfidenceInput, Config};
use super::{Imagery, Imagine};
use burn::tensor::{Tensor, activation};
use nets::layers::{gelu, normalise};

impl Imagine {
    /// f (B, D) and its imagery → f̂ (B, D) and the confidence, (B, 1) or (B, D).
    pub fn modulate(&self, f: Tensor<2>, imagery: &Imagery, c: &Config) -> (Tensor<2>, Tensor<2>) {
        let f = if c.normalise_composed { normalise(f) } else { f };
        let [b, d] = f.dims();
        let whole = || Tensor::ones([b, 1], &f.device());
        match c.composition {
            Composition::Concrete => return (f.clone(), whole()),
            Composition::Add => return (f.clone() + imagery.fused.clone(), whole()),
            Composition::CrossAttention => return (f.clone() + self.attend(f.clone(), imagery), whole()),
            Composition::Modulate | Composition::Scale | Composition::Shift => {}
        }
        let m = imagery.fused.clone();
        let last = self.modulation.len() - 1;
        let hidden = self.modulation[..last].iter().fold(m.clone(), |x, layer| gelu(layer.forward(x)));
        let scale_shift = self.modulation[last].forward(hidden); // (B, 2D)
        let input = match c.confidence_input {
            ConfidenceInput::ImageryAndModulation => Tensor::cat(vec![m, scale_shift.clone()], 1),
            ConfidenceInput::Imagery => m,
            ConfidenceInput::Modulation => scale_shift.clone(),
            ConfidenceInput::ImageryAndFeature => Tensor::cat(vec![m, f.clone()], 1),
        };
        let sure = activation::sigmoid(self.confidence[1].forward(gelu(self.confidence[0].forward(input))));
        let scale = || scale_shift.clone().slice([0..b, 0..d]);
        let shift = || scale_shift.clone().slice([0..b, d..2 * d]);
        let change = match c.composition {
            Composition::Scale => scale() * f.clone(),
            Composition::Shift => shift(),
            _ => scale() * f.clone() + shift(),
        };
        // Without a scale there is nothing that could stand for f.
        let keeps = c.residual || c.composition == Composition::Shift;
        let change = sure.clone() * change;
        (if keeps { f + change } else { change }, sure)
    }

    /// One head of attention from f to the prototypes that were taken.
    fn attend(&self, f: Tensor<2>, imagery: &Imagery) -> Tensor<2> {
        let (Some([query, key, value, out]), Some(taken)) = (&self.attention, &imagery.taken) else {
            return f.zeros_like();
        };
        let d = f.dims()[1];
        let p = taken.prototypes.clone(); // (2K, D)
        let scores = query.forward(f).matmul(key.forward(p.clone()).transpose()) / (d as f64).sqrt(); // (B, 2K)
        let passed_over = taken.weights.clone().detach().lower_equal_elem(0.0);
        let shares = activation::softmax(scores.mask_fill(passed_over, -1e4), 1);
        out.forward(shares.matmul(value.forward(p)))
    }
}
