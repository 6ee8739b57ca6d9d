//! Named tensors: out of a module, into a module, and through a safetensors file.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::BTreeMap;

/// Weights that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// Not a safetensors file, or a broken one.
    #[error("not a readable safetensors file: {0}; copy it again from where it came")]
    Unreadable(String),
    /// A number type that no weights have.
    #[error("tensor {name:?} holds {dtype}; weights are F32, F16 or BF16")]
    Type {
        /// Which.
        name: String,
        /// What it holds.
        dtype: String,
    },
    /// What the file has is not what the network needs.
    #[error(
        "these weights are of another network: {missing} tensors missing, {unexpected} unexpected, {misshapen} of another shape (first: {first})"
    )]
    Mismatch {
        /// Needed, not there.
        missing: usize,
        /// There, not needed.
        unexpected: usize,
        /// There, but of another shape.
        misshapen: usize,
        /// One of them, in words.
        first: String,
    },
}

/// Tensors by name, as f32.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensors {
    /// Name to shape and values, row-major.
    pub map: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Tensors {
    /// All parameters of a module, named by their path.
    pub fn of<M: Module>(module: &M) -> Self {
        struct Collect {
            path: Vec<String>,
            map: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
        }
        impl ModuleVisitor for Collect {
            fn enter_module(&mut self, name: &str, _container: &str) {
                self.path.push(name.to_owned());
            }
            fn exit_module(&mut self, _name: &str, _container: &str) {
                self.path.pop();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let value = param.val();
                let shape = value.dims().to_vec();
                self.map.insert(self.path.join("."), (shape, floats(value)));
            }
        }
        let mut collect = Collect { path: Vec::new(), map: BTreeMap::new() };
        module.visit(&mut collect);
        Self { map: collect.map }
    }

    /// The module with these values; every parameter must be here, in its shape, and nothing else.
    pub fn fill<M: Module>(&self, module: M, device: &Device) -> Result<M, WeightsError> {
        struct Fill<'a> {
            path: Vec<String>,
            from: &'a Tensors,
            device: &'a Device,
            used: usize,
            missing: Vec<String>,
            misshapen: Vec<String>,
            seen: std::collections::HashSet<String>,
        }
        impl ModuleMapper for Fill<'_> {
            fn enter_module(&mut self, name: &str, _container: &str) {
                self.path.push(name.to_owned());
            }
            fn exit_module(&mut self, _name: &str, _container: &str) {
                self.path.pop();
            }
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let name = self.path.join(".");
                self.seen.insert(name.clone());
                let Some((shape, values)) = self.from.map.get(&name) else {
                    self.missing.push(name);
                    return param;
                };
                let want = param.lazy_shape().to_vec();
                if *shape != want || values.len() != want.iter().product::<usize>() {
                    self.misshapen.push(format!("{name} is {shape:?}, the network needs {want:?}"));
                    return param;
                }
                self.used += 1;
                let device = self.device;
                let value = Tensor::from_data(TensorData::new(values.clone(), want), device);
                // Not `map`: it would draw the value that is replaced here.
                Param::initialized(param.id, if device.is_autodiff() { value.require_grad() } else { value })
            }
        }
        let mut fill = Fill {
            path: Vec::new(),
            from: self,
            device,
            used: 0,
            missing: Vec::new(),
            misshapen: Vec::new(),
            seen: Default::default(),
        };
        let module = module.map(&mut fill);
        let unexpected: Vec<&String> = self.map.keys().filter(|k| !fill.seen.contains(*k)).collect();
        if fill.missing.is_empty() && fill.misshapen.is_empty() && unexpected.is_empty() {
            return Ok(module);
        }
        let first = fill
            .misshapen
            .first()
            .cloned()
            .or(fill.missing.first().map(|n| format!("{n} is missing")))
            .or(unexpected.first().map(|n| format!("{n} is not expected")))
            .unwrap_or_default();
        Err(WeightsError::Mismatch {
            missing: fill.missing.len(),
            unexpected: unexpected.len(),
            misshapen: fill.misshapen.len(),
            first,
        })
    }

    /// Those whose name starts with `prefix.`, without it.
    pub fn under(&self, prefix: &str) -> Self {
        let strip = |k: &String| k.strip_prefix(prefix)?.strip_prefix('.').map(str::to_owned);
        Self { map: self.map.iter().filter_map(|(k, v)| Some((strip(k)?, v.clone()))).collect() }
    }

    /// Adds others, their names behind `prefix.`.
    pub fn add(&mut self, prefix: &str, other: Self) {
        self.map.extend(other.map.into_iter().map(|(k, v)| (format!("{prefix}.{k}"), v)));
    }

    /// As a safetensors file; `half` stores f16, otherwise f32.
    pub fn to_bytes(&self, half: bool) -> Result<Vec<u8>, WeightsError> {
        let raw: BTreeMap<&String, (Dtype, &Vec<usize>, Vec<u8>)> = self
            .map
            .iter()
            .map(|(name, (shape, values))| {
                let (dtype, bytes) = if half {
                    (Dtype::F16, values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect())
                } else {
                    (Dtype::F32, values.iter().flat_map(|v| v.to_le_bytes()).collect())
                };
                (name, (dtype, shape, bytes))
            })
            .collect();
        let unreadable = |e: safetensors::SafeTensorError| WeightsError::Unreadable(e.to_string());
        let views = raw
            .iter()
            .map(|(name, (dtype, shape, bytes))| Ok((name.as_str(), TensorView::new(*dtype, (*shape).clone(), bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(unreadable)?;
        safetensors::serialize(views, None).map_err(unreadable)
    }

    /// From a safetensors file of F32, F16 or BF16.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WeightsError> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| WeightsError::Unreadable(e.to_string()))?;
        let mut map = BTreeMap::new();
        for (name, view) in file.tensors() {
            let data = view.data();
            let two = |f: fn([u8; 2]) -> f32| data.chunks_exact(2).map(|b| f([b[0], b[1]])).collect::<Vec<f32>>();
            let values = match view.dtype() {
                Dtype::F32 => data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
                Dtype::F16 => two(|b| f16::from_le_bytes(b).to_f32()),
                Dtype::BF16 => two(|b| bf16::from_le_bytes(b).to_f32()),
                other => return Err(WeightsError::Type { name, dtype: format!("{other:?}") }),
            };
            map.insert(name, (view.shape().to_vec(), values));
        }
        Ok(Self { map })
    }
}

/// A tensor's values, row-major.
pub fn floats<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().iter::<f32>().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blip2::{Blip2, Config};

    #[test]
    fn out_and_in_again() {
        let device = crate::cpu();
        let net = Blip2::new(&Config::tiny(), &device);
        let all = Tensors::of(&net);
        assert!(all.map.contains_key("vit.blocks.1.norm1.gamma"), "{:?}", all.map.keys().take(5).collect::<Vec<_>>());
        let read = Tensors::from_bytes(&all.to_bytes(false).unwrap()).unwrap();
        assert_eq!(read, all);
        let other = read.fill(Blip2::new(&Config::tiny(), &device), &device).unwrap();
        assert_eq!(Tensors::of(&other), all);
        let halved = Tensors::from_bytes(&all.to_bytes(true).unwrap()).unwrap();
        let worst = halved
            .map
            .iter()
            .flat_map(|(k, v)| v.1.iter().zip(&all.map[k].1))
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(worst < 1e-3 && worst > 0.0);
    }

    #[test]
    fn a_wrong_file_is_refused_by_name() {
        let device = crate::cpu();
        let mut all = Tensors::of(&Blip2::new(&Config::tiny(), &device));
        all.map.remove("ln_vision.beta");
        let refused = |t: &Tensors| t.fill(Blip2::new(&Config::tiny(), &device), &device).unwrap_err().to_string();
        assert!(refused(&all).contains("ln_vision.beta is missing"));
        all.map.insert("ln_vision.beta".into(), (vec![3], vec![0.0; 3]));
        assert!(refused(&all).contains("is [3], the network needs [16]"));
        for bad in [&b""[..], b"{}", &[0xff; 64], &[8, 0, 0, 0, 0, 0, 0, 0]] {
            assert!(Tensors::from_bytes(bad).is_err());
        }
    }
}
