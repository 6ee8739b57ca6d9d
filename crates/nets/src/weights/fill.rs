//! Foreign weights into a module, one tensor at a time, with a report of what went where.
//!
//! A network of a billion parameters must not be in memory twice: the module asks for its
//! parameters in turn, each is read from the mapped file, turned the right way, made f32, and given
//! to the device before the next is touched.

use super::{Loaded, Shelf, Source, WeightsError};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use std::collections::HashSet;

/// How a file's names become a module's.
pub struct Names<'a> {
    source: Box<dyn Fn(&str) -> Option<Source> + 'a>,
    passed: Box<dyn Fn(&str) -> Option<&'static str> + 'a>,
    resize: Box<dyn Fn(&Misfit) -> Option<Vec<f32>> + 'a>,
    strict: bool,
}

/// A tensor of another shape than the parameter's: a position table of another picture size.
pub struct Misfit<'a> {
    /// The parameter's path.
    pub path: &'a str,
    /// What the file has, row-major.
    pub values: &'a [f32],
    /// Its shape.
    pub shape: &'a [usize],
    /// The shape that is needed.
    pub want: &'a [usize],
}

impl<'a> Names<'a> {
    /// Strict: every parameter is filled, and every tensor is used or passed over with a reason.
    /// `source` says where a parameter, named by its path, comes from; `None`: from nowhere.
    pub fn new(source: impl Fn(&str) -> Option<Source> + 'a) -> Self {
        Self { source: Box::new(source), passed: Box::new(|_| None), resize: Box::new(|_| None), strict: true }
    }

    /// The file's names are ours.
    pub fn same() -> Self {
        Self::new(|path| Some(Source::of(path)))
    }

    /// The file's names are ours behind `prefix.`; what lies elsewhere is somebody else's.
    pub fn under(prefix: &'a str) -> Self {
        let ours = move |name: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'));
        Self::new(move |path| Some(Source::of(format!("{prefix}.{path}"))))
            .passing(move |name| (!ours(name)).then_some("another part's"))
    }

    /// Tensors that are left unused on purpose, and why; asked only for those that no parameter uses.
    pub fn passing(mut self, why: impl Fn(&str) -> Option<&'static str> + 'a) -> Self {
        self.passed = Box::new(why);
        self
    }

    /// What to do with a tensor of another shape; `None`: it is not of this network.
    pub fn resizing(mut self, resize: impl Fn(&Misfit) -> Option<Vec<f32>> + 'a) -> Self {
        self.resize = Box::new(resize);
        self
    }

    /// What is missing keeps its value, what is unexpected is left; both are in the report.
    /// A tensor of another shape remains an error.
    pub fn lenient(mut self) -> Self {
        self.strict = false;
        self
    }
}

/// The module with the values that `from` has for it.
///
/// # Errors
/// [`WeightsError::Mismatch`] where the names and shapes do not agree, unless [`Names::lenient`];
/// else whatever is wrong with the file.
pub fn fill<M: Module>(
    module: M,
    from: &dyn Shelf,
    names: &Names,
    device: &Device,
) -> Result<(M, Loaded), WeightsError> {
    let mut fill = Fill {
        path: Vec::new(),
        from,
        names,
        device,
        used: HashSet::new(),
        misshapen: Vec::new(),
        fault: None,
        report: Loaded::default(),
    };
    let module = module.map(&mut fill);
    let Fill { used, misshapen, fault, mut report, .. } = fill;
    if let Some(fault) = fault {
        return Err(fault);
    }
    for name in from.names().into_iter().filter(|n| !used.contains(*n)) {
        match (names.passed)(name) {
            Some(why) => report.passed_over.push((name.to_owned(), why.to_owned())),
            None => report.unexpected.push(name.to_owned()),
        }
    }
    let whole = report.missing.is_empty() && report.unexpected.is_empty();
    if misshapen.is_empty() && (whole || !names.strict) {
        return Ok((module, report));
    }
    Err(report.mismatch(&misshapen))
}

struct Fill<'a> {
    path: Vec<String>,
    from: &'a dyn Shelf,
    names: &'a Names<'a>,
    device: &'a Device,
    used: HashSet<String>,
    misshapen: Vec<String>,
    fault: Option<WeightsError>,
    report: Loaded,
}

impl ModuleMapper for Fill<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let want = param.lazy_shape().to_vec();
        match self.values(&path, &want) {
            Some(values) => {
                self.report.numbers += values.len();
                self.report.loaded.push(path);
                let value = Tensor::from_data(TensorData::new(values, want), self.device);
                // Not `map`: it would draw the value that is replaced here.
                Param::initialized(param.id, if self.device.is_autodiff() { value.require_grad() } else { value })
            }
            None => param,
        }
    }
}

impl Fill<'_> {
    /// A parameter's numbers; `None` if there are none, which is then on record.
    fn values(&mut self, path: &str, want: &[usize]) -> Option<Vec<f32>> {
        let Some(source) = (self.names.source)(path) else {
            self.report.missing.push(path.to_owned());
            return None;
        };
        self.used.extend(source.leaves().into_iter().map(str::to_owned));
        let read = source.read(self.from, Some(want)).and_then(|raw| match raw.floats() {
            Some(values) => Ok((raw.shape().to_vec(), values)),
            None => Err(WeightsError::Type { name: source.leaves().join(", "), dtype: raw.dtype().to_string() }),
        });
        source.leaves().iter().for_each(|leaf| self.from.release(leaf));
        match read {
            Ok((shape, values)) if shape == want => Some(values),
            Ok((shape, values)) => {
                let misfit = Misfit { path, values: &values, shape: &shape, want };
                match (self.names.resize)(&misfit).filter(|v| v.len() == want.iter().product::<usize>()) {
                    Some(values) => {
                        self.report.reshaped.push((path.to_owned(), shape, want.to_vec()));
                        Some(values)
                    }
                    None => {
                        self.misshapen.push(format!("{path} is {shape:?}, the network needs {want:?}"));
                        None
                    }
                }
            }
            Err(WeightsError::Absent(name)) => {
                self.report.missing.push(if name == path { name } else { format!("{path} (from {name})") });
                None
            }
            Err(fault) => {
                self.fault.get_or_insert(fault);
                None
            }
        }
    }
}
