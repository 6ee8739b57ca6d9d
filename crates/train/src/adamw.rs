//! AdamW: gradient descent with a memory of size and direction, and weight decay apart from it.
//!
//! The state is kept by the parameter's *name*, so that it can be written, read and checked like any
//! other tensors, and a resumed run is exact; burn's own optimizer keeps it by a random id that a
//! reload changes.
//! Source: Loshchilov and Hutter 2019, Algorithm 2.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};
use nets::weights::{Tensors, floats};
use rayon::prelude::*;
use std::collections::BTreeMap;

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.98;
const EPS: f32 = 1e-8;

/// The optimizer and its state.
#[derive(Clone, Debug, Default)]
pub struct AdamW {
    /// Weight decay on matrices; norms, biases and embeddings of one row are left alone.
    pub decay: f32,
    /// Gradients are scaled down to this length, over all parameters together.
    pub clip: f32,
    /// Updates made.
    pub steps: u64,
    /// First moments, by name.
    pub first: Tensors,
    /// Second moments, by name.
    pub second: Tensors,
}

impl AdamW {
    /// A fresh optimizer.
    pub fn new(decay: f32, clip: f32) -> Self {
        Self { decay, clip, ..Self::default() }
    }

    /// One update of every parameter that has a gradient.
    pub fn step<M: Module>(&mut self, module: M, grads: Grads, rate: f32) -> M {
        let length = grads.length();
        self.steps += 1;
        let scale = if self.clip > 0.0 && length > self.clip { self.clip / length } else { 1.0 };
        let mut update = Update { path: Vec::new(), found: grads.map, scale, rate, adam: self };
        module.map(&mut update)
    }
}

/// Gradients by the parameter's name, so that those of several passes can be added.
#[derive(Clone, Debug, Default)]
pub struct Grads {
    /// Name to values, row-major.
    pub map: BTreeMap<String, Vec<f32>>,
}

impl Grads {
    /// Those of a module's parameters, where `trains(name)`.
    pub fn of<M: Module>(module: &M, grads: &Gradients, trains: &dyn Fn(&str) -> bool) -> Self {
        let mut collect = Collect { path: Vec::new(), grads, trains, found: BTreeMap::new() };
        module.visit(&mut collect);
        Self { map: collect.found }
    }

    /// Adds those of another pass.
    pub fn add(&mut self, other: Self) {
        for (name, theirs) in other.map {
            match self.map.get_mut(&name) {
                Some(ours) => ours.par_iter_mut().zip(&theirs).with_min_len(4096).for_each(|(a, b)| *a += b),
                None => drop(self.map.insert(name, theirs)),
            }
        }
    }

    /// Their length, over all parameters together.
    pub fn length(&self) -> f32 {
        let squares = |g: &Vec<f32>| g.par_iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        self.map.values().map(squares).sum::<f64>().sqrt() as f32
    }
}

struct Collect<'a> {
    path: Vec<String>,
    grads: &'a Gradients,
    trains: &'a dyn Fn(&str) -> bool,
    found: BTreeMap<String, Vec<f32>>,
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.join(".");
        if (self.trains)(&name)
            && let Some(grad) = param.val().grad(self.grads)
        {
            self.found.insert(name, floats(grad));
        }
    }
}

struct Update<'a> {
    path: Vec<String>,
    found: BTreeMap<String, Vec<f32>>,
    scale: f32,
    rate: f32,
    adam: &'a mut AdamW,
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        let Some(grad) = self.found.remove(&name) else { return param };
        let value = param.val();
        let (shape, device) = (value.dims().to_vec(), value.device());
        let mut w = floats(value);
        let adam = &mut *self.adam;
        let fresh = || (shape.clone(), vec![0.0f32; grad.len()]);
        let m = &mut adam.first.map.entry(name.clone()).or_insert_with(fresh).1;
        let v = &mut adam.second.map.entry(name).or_insert_with(fresh).1;
        let matrix = shape.iter().filter(|n| **n > 1).count() > 1;
        let decay = if matrix { self.rate * adam.decay } else { 0.0 };
        let (fix1, fix2) = (1.0 - BETA1.powi(adam.steps as i32), 1.0 - BETA2.powi(adam.steps as i32));
        let (rate, scale) = (self.rate, self.scale);
        w.par_iter_mut().zip(m.par_iter_mut().zip(v.par_iter_mut())).zip(&grad).with_min_len(4096).for_each(
            |((w, (m, v)), g)| {
                let g = g * scale;
                *m = BETA1 * *m + (1.0 - BETA1) * g;
                *v = BETA2 * *v + (1.0 - BETA2) * g * g;
                *w -= decay * *w + rate * (*m / fix1) / ((*v / fix2).sqrt() + EPS);
            },
        );
        // A fresh leaf: a tensor made by arithmetic would carry the last step's graph along.
        param.map(|_| Tensor::from_data(TensorData::new(w, shape), &device).require_grad())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nets::layers::Linear;

    #[test]
    fn falls_into_a_bowl_and_leaves_the_frozen_alone() {
        let device = nets::cpu().autodiff();
        let mut net = Linear::new(3, 2, 1.0, &device);
        let bias = floats(net.bias.val());
        let mut adam = AdamW::new(0.0, 0.0);
        for _ in 0..300 {
            let loss = net.weight.val().powi_scalar(2).sum() + net.bias.val().sum();
            let grads = Grads::of(&net, &loss.backward(), &|n| n == "weight");
            net = adam.step(net, grads, 0.05);
        }
        assert!(floats(net.weight.val()).iter().all(|w| w.abs() < 1e-2));
        assert_eq!(floats(net.bias.val()), bias);
    }
}
