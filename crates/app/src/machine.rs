//! What this machine is, in a line: numbers that were measured are worth nothing without it.

use crate::exit::Failure;

/// Processor, cores, system.
pub fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|l| l.strip_prefix("model name")).map(|l| l.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {cores} cores, {}", model.unwrap_or(std::env::consts::ARCH), std::env::consts::OS)
}

/// The instructions that `LIKEBUT_CPU` asks for; none where it is unset or empty.
pub fn wish() -> Option<String> {
    std::env::var_os("LIKEBUT_CPU").filter(|w| !w.is_empty()).map(|w| w.to_string_lossy().into_owned())
}

/// The instructions that this processor has, by name, the fastest last.
pub fn instructions() -> String {
    nets::CpuPath::all().iter().map(|p| p.name()).collect::<Vec<_>>().join(", ")
}

/// Why the newest instructions are not the fastest here, if so.
pub fn passed_over() -> Option<&'static str> {
    let all = nets::CpuPath::all();
    let bf16 = all.iter().position(|p| p.name() == "avx512-bf16")?;
    let plain = all.iter().position(|p| p.name() == "avx512")?;
    (bf16 < plain).then_some("its instruction for bf16 pairs takes twice as long as f32, so bf16 is multiplied as f32")
}

/// Refuses a wish that cannot be granted here, by what multiplies or by what scans: the first would take
/// its best without a word, and times and marks would then be told of instructions that never ran.
pub fn check_wish() -> Result<(), Failure> {
    let Some(wish) = wish() else { return Ok(()) };
    // AVX-512 without what extends it is a name for wishes only.
    let asked = if wish == "avx512-plain" { "avx512" } else { &wish };
    let hint = "unset LIKEBUT_CPU for the best that there is";
    if !nets::CpuPath::all().iter().any(|p| p.name() == asked) {
        let has = instructions();
        return Err(Failure::usage(format!("LIKEBUT_CPU is {wish:?}; this processor has {has}")).hint(hint));
    }
    library::scan_path().map(|_| ()).map_err(|e| Failure::from(e).hint(hint))
}
