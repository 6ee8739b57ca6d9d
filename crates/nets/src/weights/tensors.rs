//! Our own named tensors, as f32: out of a module, into a module, and through a safetensors file.

use super::{Names, Raw, Shelf, WeightsError, fill, stored};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use half::f16;
use safetensors::{Dtype, tensor::View};
use std::borrow::Cow;
use std::collections::BTreeMap;

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
        fill(module, self, &Names::same(), device).map(|(module, _)| module)
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
        let views = self.map.iter().map(|(name, (shape, values))| (name, Stored { shape, values, half }));
        safetensors::serialize(views, None).map_err(|e| WeightsError::Unreadable(e.to_string()))
    }

    /// From a safetensors file of F32, F16, BF16 or F64.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WeightsError> {
        let entries = stored::entries(bytes)?.tensors;
        let one = |(name, entry): (String, super::Entry)| {
            let raw = entry.raw(bytes)?;
            match raw.floats() {
                Some(values) => Ok((name, (entry.shape, values))),
                None => Err(WeightsError::Type { name, dtype: entry.dtype.to_string() }),
            }
        };
        Ok(Self { map: entries.into_iter().map(one).collect::<Result<_, _>>()? })
    }
}

impl Shelf for Tensors {
    fn names(&self) -> Vec<&str> {
        self.map.keys().map(String::as_str).collect()
    }

    fn raw(&self, name: &str) -> Option<Result<Raw<'_>, WeightsError>> {
        let (shape, values) = self.map.get(name)?;
        let raw = Raw::new(Dtype::F32, shape.clone(), bytemuck::cast_slice::<f32, u8>(values));
        Some(raw.map_err(|why| WeightsError::Unreadable(format!("tensor {name}: {why}"))))
    }
}

/// A tensor on its way into a file.
struct Stored<'a> {
    shape: &'a [usize],
    values: &'a [f32],
    half: bool,
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        if self.half { Dtype::F16 } else { Dtype::F32 }
    }
    fn shape(&self) -> &[usize] {
        self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        if self.half {
            self.values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect()
        } else {
            Cow::Borrowed(bytemuck::cast_slice(self.values))
        }
    }
    fn data_len(&self) -> usize {
        self.values.len() * if self.half { 2 } else { 4 }
    }
}

/// A tensor's values, row-major; not copied where nobody else has the tensor.
pub fn floats<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    let data = t.into_data().convert::<f32>();
    data.try_into_vec().expect("they were made f32")
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
