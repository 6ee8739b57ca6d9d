//! Where things belong on this system: the XDG folders on Linux, the native ones elsewhere.

use std::path::PathBuf;

/// The user's home; the current folder where there is none, as for some services.
pub fn home() -> PathBuf {
    std::env::home_dir().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| ".".into())
}

/// What the user writes: `~/.config/likebut`.
pub fn config() -> PathBuf {
    folder("XDG_CONFIG_HOME", ".config", "Library/Application Support", "APPDATA")
}

/// What we keep for the user: `~/.local/share/likebut`.
pub fn data() -> PathBuf {
    folder("XDG_DATA_HOME", ".local/share", "Library/Application Support", "LOCALAPPDATA")
}

fn folder(xdg: &str, unix: &str, mac: &str, windows: &str) -> PathBuf {
    // The XDG specification: a relative path in one of its variables is to be ignored.
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let base = if cfg!(windows) {
        named(windows).unwrap_or_else(home)
    } else if cfg!(target_os = "macos") {
        named(xdg).unwrap_or_else(|| home().join(mac))
    } else {
        named(xdg).unwrap_or_else(|| home().join(unix))
    };
    base.join("likebut")
}
