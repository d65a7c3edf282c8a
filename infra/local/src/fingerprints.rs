//! Fingerprints of files, and stamps that remember them, so that only what changed is made again.
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use std::{fs, io};

use crate::failure::{CHECK_FILES, Explain, Failure};

/// Grows by names and contents. It notices changes and protects from nobody, so 64 bits do.
#[derive(Default)]
pub struct Fingerprint {
    hasher: DefaultHasher,
}

impl Fingerprint {
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.hasher.write_usize(text.len());
        self.hasher.write(text.as_bytes());
        self
    }

    pub fn contents(&mut self, file: &Path) -> Result<&mut Self, Failure> {
        let bytes =
            fs::read(file).explain(|| format!("{} cannot be read", file.display()), CHECK_FILES)?;
        self.hasher.write_usize(bytes.len());
        self.hasher.write(&bytes);
        Ok(self)
    }

    /// Length and time of change, for large files whose time is kept when they are copied.
    pub fn identity(&mut self, file: &Path) -> Result<&mut Self, Failure> {
        let (length, changed) = length_and_change(file)
            .explain(|| format!("{} cannot be read", file.display()), CHECK_FILES)?;
        self.hasher.write_u64(length);
        self.hasher.write_u128(changed);
        Ok(self)
    }

    /// Every file below a folder, in the order of their names, but nothing in the folders named in
    /// `except`.
    pub fn folder(&mut self, folder: &Path, except: &[&str]) -> Result<&mut Self, Failure> {
        let mut files = BTreeMap::new();
        list_files(folder, except, &mut files)
            .explain(|| format!("{} cannot be listed", folder.display()), CHECK_FILES)?;
        for (name, path) in files {
            self.text(&name).contents(&path)?;
        }
        Ok(self)
    }

    pub fn finish(&self) -> String {
        format!("{:016x}", self.hasher.finish())
    }
}

/// A stamp stands inside the folder that it vouches for, so removing the folder removes it too.
pub struct Stamp {
    file: PathBuf,
}

impl Stamp {
    pub fn inside(folder: &Path) -> Self {
        Self { file: folder.join(".matricula-stamp") }
    }

    pub fn says(&self, fingerprint: &str) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|text| text == fingerprint)
    }

    pub fn set(&self, fingerprint: &str) -> Result<(), Failure> {
        fs::write(&self.file, fingerprint)
            .explain(|| format!("{} cannot be written", self.file.display()), CHECK_FILES)
    }
}

/// Copies a file only where its contents differ, and keeps its time of change. Says whether it
/// copied.
pub fn copy_if_changed(from: &Path, to: &Path) -> io::Result<bool> {
    if let (Ok(old), new) = (length_and_change(to), length_and_change(from)?)
        && (old == new || (old.0 == new.0 && fs::read(from)? == fs::read(to)?))
    {
        return Ok(false);
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    // A running function may have the old file open: write beside it, then rename over it.
    let beside = to.with_extension("new");
    fs::copy(from, &beside)?;
    let changed = fs::metadata(from)?.modified()?;
    fs::File::options().write(true).open(&beside)?.set_modified(changed)?;
    fs::rename(&beside, to)?;
    Ok(true)
}

fn length_and_change(file: &Path) -> io::Result<(u64, u128)> {
    let metadata = fs::metadata(file)?;
    let changed = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((metadata.len(), changed.as_nanos()))
}

fn list_files(
    folder: &Path,
    except: &[&str],
    files: &mut BTreeMap<String, PathBuf>,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if except.iter().any(|excluded| name.starts_with(excluded)) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            list_files(&entry.path(), except, files)?;
        } else {
            files.insert(entry.path().to_string_lossy().into_owned(), entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("matricula-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("the temporary folder is writable");
        folder
    }

    #[test]
    fn a_changed_file_changes_the_fingerprint_of_its_folder_and_an_excluded_one_does_not() {
        let folder = scratch("fingerprints");
        let of = || {
            Fingerprint::default().folder(&folder, &["node_modules"]).expect("readable").finish()
        };
        fs::create_dir_all(folder.join("node_modules")).expect("writable");
        fs::write(folder.join("app.ts"), "one").expect("writable");
        let first = of();
        fs::write(folder.join("node_modules/index.js"), "anything").expect("writable");
        assert_eq!(first, of());
        fs::write(folder.join("app.ts"), "two").expect("writable");
        assert_ne!(first, of());
        fs::remove_dir_all(folder).expect("removable");
    }

    #[test]
    fn a_copy_is_made_once_and_again_only_for_new_contents() {
        let folder = scratch("copies");
        let (from, to) = (folder.join("from"), folder.join("deep/to"));
        fs::write(&from, "one").expect("writable");
        assert!(copy_if_changed(&from, &to).expect("copies"));
        assert!(!copy_if_changed(&from, &to).expect("compares"));
        fs::write(&from, "two").expect("writable");
        assert!(copy_if_changed(&from, &to).expect("copies"));
        assert_eq!(fs::read_to_string(&to).expect("readable"), "two");
        fs::remove_dir_all(folder).expect("removable");
    }

    #[test]
    fn two_texts_are_not_the_same_as_their_concatenation() {
        let apart = Fingerprint::default().text("ab").text("c").finish();
        assert_ne!(apart, Fingerprint::default().text("a").text("bc").finish());
    }
}
