//! Foreign weights into a module, one tensor at a time, with a report of what went where.
//!
//! A network of a billion parameters must not be in memory twice: the module asks for its
//! parameters in turn, and each is read from the mapped file, turned the right way, made f32, and given
//! to the device by itself.
//! A large one of a network that only runs is looked up now, and read when it is first wanted: whoever packs
//! a layer then holds that layer's numbers twice and no other's, and a tower that nobody asks stays on disk.

use super::{Loaded, Raw, Shelf, Source, WeightsError};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Shape, Tensor, TensorData};
use std::collections::HashSet;

/// Smaller parameters are read at once: to remember where they lie costs more than they do.
const LEAST_LATER: usize = 1 << 16;

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
        let found = self.find(&path, &want);
        if found.is_some() {
            self.report.numbers += want.iter().product::<usize>();
            self.report.loaded.push(path);
        }
        // Not `map`: it would draw the value that is replaced here.
        match found {
            Some(Found::Read(values)) => {
                let value = Tensor::from_data(TensorData::new(values, want), self.device);
                Param::initialized(param.id, if self.device.is_autodiff() { value.require_grad() } else { value })
            }
            Some(Found::Later(read)) => {
                let shape = Shape::from(want.clone());
                let value = move |device: &Device, _| Tensor::from_data(TensorData::new(read(), want), device);
                Param::uninitialized(param.id, value, self.device.clone(), false, shape)
            }
            None => param,
        }
    }
}

/// A parameter's numbers.
enum Found {
    /// Here.
    Read(Vec<f32>),
    /// Where they lie: they are there, and as many as are needed.
    Later(Box<Reading>),
}

/// Reads what was looked up before.
type Reading = dyn FnOnce() -> Vec<f32> + Send + Sync;

impl Fill<'_> {
    /// A parameter's numbers; `None` if there are none, which is then on record.
    fn find(&mut self, path: &str, want: &[usize]) -> Option<Found> {
        let Some(source) = (self.names.source)(path) else {
            self.report.missing.push(path.to_owned());
            return None;
        };
        let (from, leaves) = (self.from, source.leaves());
        self.used.extend(leaves.iter().map(|leaf| (*leaf).to_owned()));
        let raw = source.read(from, Some(want)).and_then(|raw| match raw.are_floats() {
            true => Ok(raw),
            false => Err(WeightsError::Type { name: leaves.join(", "), dtype: raw.dtype().to_string() }),
        });
        let found = match raw {
            Ok(raw) if raw.shape() == want => {
                self.later(&source, want).map(Found::Later).or_else(|| raw.floats().map(Found::Read))
            }
            Ok(raw) => self.resized(path, &raw, want).map(Found::Read),
            Err(WeightsError::Absent(name)) => {
                self.report.missing.push(if name == path { name } else { format!("{path} (from {name})") });
                None
            }
            Err(fault) => {
                self.fault.get_or_insert(fault);
                None
            }
        };
        leaves.iter().for_each(|leaf| from.release(leaf));
        found
    }

    /// How to read what was just looked up once it is wanted; `None` where it should be read now.
    fn later(&self, source: &Source, want: &[usize]) -> Option<Box<Reading>> {
        if self.device.is_autodiff() || want.iter().product::<usize>() < LEAST_LATER {
            return None;
        }
        let shelf = self.from.later(&source.leaves())?;
        let (source, want) = (source.clone(), want.to_vec());
        Some(Box::new(move || {
            let raw = source.read(&*shelf, Some(&want));
            let values = raw.ok().and_then(|raw| raw.floats()).expect("the same was looked up when it was opened");
            source.leaves().iter().for_each(|leaf| shelf.release(leaf));
            values
        }))
    }

    /// Numbers of another shape, made to fit; `None` where nobody knows how, which is then on record.
    fn resized(&mut self, path: &str, raw: &Raw<'_>, want: &[usize]) -> Option<Vec<f32>> {
        let (shape, values) = (raw.shape(), raw.floats()?);
        let misfit = Misfit { path, values: &values, shape, want };
        let resized = (self.names.resize)(&misfit).filter(|v| v.len() == want.iter().product::<usize>());
        match resized {
            Some(_) => self.report.reshaped.push((path.to_owned(), shape.to_vec(), want.to_vec())),
            None => self.misshapen.push(format!("{path} is {shape:?}, the network needs {want:?}")),
        }
        resized
    }
}
