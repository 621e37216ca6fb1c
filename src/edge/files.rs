//! Files that config names: read within limits, and noticed when their content changes.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};

use crate::bundle::Files;
use crate::problem::Problem;

/// A file of a bundle, and any other that config names, at most.
pub const FILE_BYTES: u64 = 4 * 1024 * 1024;
/// Folders within folders of a bundle's directory.
const DEPTH: usize = 4;
/// Files of a bundle's directory that are looked at; one more refuses it.
const COUNT: usize = 1024;

/// What a file, or several, held when it was last looked at.
#[derive(Default)]
pub enum Seen {
    /// It was not looked at yet.
    #[default]
    Never,
    /// It could not be read.
    Unreadable,
    /// The SHA-256 of its content.
    Content(Vec<u8>),
}

impl Seen {
    /// Whether this is another content than last time; it is remembered.
    pub fn is_news(&mut self, content: &[u8]) -> bool {
        let hash = digest(&SHA256, content).as_ref().to_vec();
        let news = !matches!(self, Self::Content(last) if *last == hash);
        *self = Self::Content(hash);
        news
    }

    /// Whether it could be read last time, or was not looked at; that it cannot be read is remembered.
    pub fn is_lost_news(&mut self) -> bool {
        !matches!(core::mem::replace(self, Self::Unreadable), Self::Unreadable)
    }
}

/// A problem with a file as a whole.
#[must_use]
pub fn whole(path: &Path, what: String, remedy: &str) -> Problem {
    Problem::at(&path.display().to_string(), "", 1, 1, what, remedy)
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// It is none, it cannot be read, or it is larger.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Problem> {
    let unreadable = |error: io::Error| {
        whole(path, format!("this file cannot be read: {error}"), "name a file that exists and that keybound may read")
    };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        // Reading a pipe could last for ever.
        return Err(whole(path, "this is no regular file".to_owned(), "name a file"));
    }
    if metadata.len() > limit {
        let what = format!("this file has {} bytes", metadata.len());
        return Err(whole(path, what, &format!("at most {limit} are read")));
    }
    std::fs::read(path).map_err(unreadable)
}

/// Reads a bundle's directory: symlinks are resolved once, and what was read is read again, so that a swap in between is noticed.
///
/// # Errors
/// It cannot be read, changed meanwhile, or holds what no bundle may.
pub fn bundle(directory: &Path) -> Result<Files, Vec<Problem>> {
    let unreadable = |error: io::Error| {
        let what = format!("this directory cannot be read: {error}");
        vec![whole(directory, what, "name a directory with schema.cedarschema, *.cedar, apis.yaml and clients.yaml")]
    };
    let resolved = std::fs::canonicalize(directory).map_err(unreadable)?;
    let once = || -> Result<BTreeMap<String, Vec<u8>>, Vec<Problem>> {
        let mut names = Vec::new();
        list(&resolved, "", DEPTH, &mut names).map_err(unreadable)?;
        let content = |name: String| Ok((name.clone(), read(&resolved.join(&name), FILE_BYTES)?));
        names.into_iter().map(content).collect::<Result<_, Problem>>().map_err(|problem| vec![problem])
    };
    let files = once()?;
    if once()? != files {
        let what = "this directory changed while it was read".to_owned();
        return Err(vec![whole(directory, what, "swap a symlink to a whole new one")]);
    }
    Files::new(files).map_err(|problems| in_directory(directory, problems))
}

/// The files below a directory, relative to the bundle. Names that begin with a dot are the file system's or an editor's: a
/// ConfigMap keeps its content in `..data`.
fn list(directory: &Path, prefix: &str, depth: usize, names: &mut Vec<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        if name.starts_with('.') {
            continue;
        }
        if names.len() >= COUNT {
            return Err(io::Error::other(format!("it holds more than {COUNT} files")));
        }
        let path = directory.join(&name);
        let name = format!("{prefix}{name}");
        if !std::fs::metadata(&path)?.is_dir() {
            names.push(name);
        } else if let Some(depth) = depth.checked_sub(1) {
            list(&path, &format!("{name}/"), depth, names)?;
        }
    }
    Ok(())
}

/// A bundle knows its files by name; people find them in the directory that config names.
#[must_use]
pub fn in_directory(directory: &Path, mut problems: Vec<Problem>) -> Vec<Problem> {
    for problem in &mut problems {
        problem.place.file = directory.join(&problem.place.file).display().to_string();
    }
    problems
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_change_is_news_once() {
        let mut seen = Seen::default();
        let news: Vec<_> = [&b""[..], b"", b"one", b"one", b"two", b"one"].map(|content| seen.is_news(content)).into();
        assert_eq!(news, [true, false, true, false, true, true]);
        assert_eq!([seen.is_lost_news(), seen.is_lost_news()], [true, false], "told once");
        assert!(seen.is_news(b"one"), "what comes back is news");
        assert!(Seen::Never.is_lost_news(), "at the start everything is told");
    }

    #[test]
    fn only_regular_files_within_the_limit_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        std::fs::write(&path, "four").unwrap();
        assert!(read(&path, 4).is_ok());
        assert!(read(&path, 3).is_err());
        assert!(read(directory.path(), 100).is_err());
        assert!(read(&directory.path().join("missing"), 100).is_err());
    }

    #[test]
    fn a_bundle_is_every_file_that_is_not_hidden() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a.cedar", ".hidden", "sub/b.cedar", "..data/c.cedar"] {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let mut names = Vec::new();
        list(directory.path(), "", DEPTH, &mut names).unwrap();
        names.sort();
        assert_eq!(names, ["a.cedar", "sub/b.cedar"]);
    }
}
