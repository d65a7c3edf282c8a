//! Where everything lies in the checkout, and where this program keeps what it makes.
use std::path::{Path, PathBuf};

pub struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// Cargo tells a program that it runs where its package lies; the root is two folders up.
    pub fn find() -> Self {
        let package = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package.ancestors().nth(2).unwrap_or(&package).to_owned();
        Self { root }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// `.local`: what belongs to the developer's own local cloud; `down --wipe` removes it.
    pub fn local(&self, relative: &str) -> PathBuf {
        self.root.join(".local").join(relative)
    }

    pub fn cdk(&self) -> PathBuf {
        self.path("infra/cdk")
    }
}

/// A path as the developer would type it: relative to the folder they stand in, where it is below
/// it.
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}
