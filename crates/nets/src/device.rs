//! Where tensors live: the CPU, which is always there, or a GPU where the program was built with one.
//!
//! The GPU is reached by Vulkan, Metal or WebGPU. burn could reach CUDA too, but the version we stand on
//! fetches a compiler while it is being built, which nothing here may do; it waits for one that does not.

pub use burn::tensor::Device;

/// A device that is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The program was built without it.
    #[error("this likebut was built without the device {0:?}; build it with: cargo build --release --features {0}")]
    NotBuilt(&'static str),
    /// No such name.
    #[error("unknown device {0:?}; known are cpu and gpu")]
    Unknown(String),
}

/// The device that is always there.
pub fn cpu() -> Device {
    Device::flex()
}

/// The instructions that arithmetic is done with on the CPU, by the name that `LIKEBUT_CPU` knows.
pub fn instructions() -> &'static str {
    kernels::Path::chosen().name()
}

/// Does some work on one of the threads that share what is computed.
///
/// A parallel loop that begins on any other thread puts that to sleep and wakes the rest, and a small
/// network is many short loops: the one inside the program took nearly twice as long that way. So
/// whoever runs a network, or trains one, does it in here.
pub fn together<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::scope(|_| work())
}

/// A device by name: `cpu`, or `gpu` for the best one that Vulkan, Metal or WebGPU can reach.
pub fn device(name: &str) -> Result<Device, DeviceError> {
    match name {
        "cpu" => Ok(cpu()),
        #[cfg(feature = "gpu")]
        "gpu" => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(not(feature = "gpu"))]
        "gpu" => Err(DeviceError::NotBuilt("gpu")),
        other => Err(DeviceError::Unknown(other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_or_refused_with_what_to_do() {
        assert!(device("cpu").is_ok());
        assert!(device("tpu").unwrap_err().to_string().contains("cpu and gpu"));
        #[cfg(not(feature = "gpu"))]
        assert!(device("gpu").unwrap_err().to_string().contains("--features gpu"));
    }
}
