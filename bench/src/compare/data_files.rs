//! Generates the data files: the same bytes on every machine, from one seed.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::random::Random;
use xtask::files::write;
use xtask::process::Result;

/// The sizes and counts of all inputs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) big_mib: u64,
    pub(super) small_files: usize,
    pub(super) tree_files: usize,
    pub(super) tree_bytes: u64,
    pub(super) referrers: usize,
    pub(super) manifests: usize,
    /// The number of nodes in the large layout.
    pub(super) nodes: usize,
}

pub(super) const SMALL_BYTES: usize = 4096;
const FILES_IN_DIR: usize = 50;

impl Sizes {
    /// The sizes of published results.
    pub(super) const FULL: Self = Self {
        big_mib: 1024,
        small_files: 1000,
        tree_files: 40_000,
        tree_bytes: 256 << 20,
        referrers: 300,
        manifests: 4000,
        nodes: 120_000,
    };
    /// Small sizes for a quick run.
    pub(super) const QUICK: Self = Self {
        big_mib: 32,
        small_files: 100,
        tree_files: 1000,
        tree_bytes: 6 << 20,
        referrers: 20,
        manifests: 200,
        nodes: 2000,
    };

    /// Returns the size of the big file in bytes.
    pub(super) fn big(&self) -> u64 {
        self.big_mib << 20
    }

    /// Returns the size of all small files in bytes.
    pub(super) fn small(&self) -> u64 {
        (self.small_files * SMALL_BYTES) as u64
    }
}

/// Returns the paths of the small files, relative to the data directory.
pub(super) fn small_names(sizes: &Sizes) -> Vec<String> {
    (0..sizes.small_files).map(|n| format!("small/{n:04}.bin")).collect()
}

/// Writes the big file to `path`.
pub(super) fn big_file(path: &Path, mib: u64) -> Result {
    let mut random = Random::new(0);
    let mut file = File::create(path)?;
    let mut bytes = vec![0; 1 << 20];
    for _ in 0..mib {
        random.fill(&mut bytes);
        file.write_all(&bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}

/// Writes the small files below `dir`.
pub(super) fn small_files(dir: &Path, sizes: &Sizes) -> Result {
    let mut random = Random::new(0);
    let mut bytes = vec![0; SMALL_BYTES];
    for name in small_names(sizes) {
        random.fill(&mut bytes);
        write(&dir.join(name), &bytes)?;
    }
    Ok(())
}

/// Writes text files that compress about as well as source code. Their lengths range from one to seven
/// quarters of the mean. The last file fills up the total size.
pub(super) fn tree(dir: &Path, sizes: &Sizes) -> Result {
    const WORDS: [&str; 8] = ["descriptor", "digest", "manifest", "blob", "layer", "subject", "tag", "mount"];
    let mut random = Random::new(0);
    let mean = sizes.tree_bytes / sizes.tree_files as u64;
    let mut left = sizes.tree_bytes;
    for n in 0..sizes.tree_files {
        let files_left = (sizes.tree_files - n) as u64;
        let length = mean / 4 + random.next() % (mean * 3 / 2);
        let length = if files_left == 1 { left } else { length.min(left.saturating_sub(files_left)) };
        left -= length;
        let mut text = String::with_capacity(length as usize + 32);
        while text.len() < length as usize {
            let value = random.next();
            text.push_str(WORDS[(value % 8) as usize]);
            text.push_str(&format!(" = {:x};\n", value >> 44));
        }
        text.truncate(length as usize);
        write(&dir.join(format!("{:03}/{:02}.txt", n / FILES_IN_DIR, n % FILES_IN_DIR)), text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask::files::{ScratchDir, files_below};

    #[test]
    fn creates_files_of_requested_count_and_size() {
        let scratch = ScratchDir::new(&std::env::temp_dir(), "xtask-data").unwrap();
        let sizes =
            Sizes { big_mib: 1, small_files: 3, tree_files: 120, tree_bytes: 200_000, ..Sizes::QUICK };
        big_file(&scratch.path().join("big.bin"), sizes.big_mib).unwrap();
        small_files(scratch.path(), &sizes).unwrap();
        tree(&scratch.path().join("tree"), &sizes).unwrap();
        let bytes_in = |name: &str| {
            let files = files_below(&scratch.path().join(name)).unwrap();
            let bytes: u64 = files.iter().map(|file| std::fs::metadata(file).unwrap().len()).sum();
            (files.len(), bytes)
        };
        assert_eq!(bytes_in("tree"), (120, 200_000));
        assert_eq!(bytes_in("small"), (3, sizes.small()));
        assert_eq!(std::fs::metadata(scratch.path().join("big.bin")).unwrap().len(), sizes.big());
    }
}
