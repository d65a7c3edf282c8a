//! The repository's own files, as texts.

use std::fs;
use std::path::{Path, PathBuf};

pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("the package lies in the repository").to_owned()
}

/// A file's text; nothing where there is no such file.
pub fn read(path: &str) -> Option<String> {
    fs::read_to_string(root().join(path)).ok()
}

/// Every file below `folder` whose name ends in one of `endings`, with its path from the root, in order.
pub fn files(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    paths(folder)
        .into_iter()
        .filter(|path| endings.iter().any(|ending| path.ends_with(ending)))
        .map(|path| {
            let text = read(&path).unwrap_or_else(|| panic!("{path} is no text"));
            (path, text)
        })
        .collect()
}

/// Paths of every file below `folder`, from the root, in order.
pub fn paths(folder: &str) -> Vec<String> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("an entry can be read").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8");
            if is_foreign(name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                let path = path.strip_prefix(&root).expect("it lies below the root");
                found.push(path.to_str().expect("a path in UTF-8").to_owned());
            }
        }
    }
    found.sort();
    found
}

/// What is made by tools, or belongs to somebody else.
fn is_foreign(name: &str) -> bool {
    matches!(name, "target" | "node_modules" | "__pycache__")
        || name.starts_with('.')
        || name.starts_with("cdk.out")
}

/// The bounded contexts: the folders in `functions/`, in order.
pub fn contexts() -> Vec<String> {
    let mains = paths("functions").into_iter();
    mains
        .filter_map(|path| {
            let context = path.strip_prefix("functions/")?.strip_suffix("/src/main.rs")?;
            Some(context.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_has_contexts_and_no_file_of_anybody_else() {
        assert!(contexts().contains(&"catalog".to_owned()));
        let foreign = paths("").into_iter().find(|path| path.contains("node_modules"));
        assert_eq!(foreign, None);
    }
}
