//! The data: the same bytes on every machine, from one seed.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::files::write;
use crate::process::Result;

/// Names of the small files, relative to the data.
pub(super) const SMALL_FILES: usize = 200;
const SMALL_BYTES: usize = 4096;
const TREE_DIRS: usize = 60;
const FILES_IN_DIR: usize = 50;

/// How much there is of everything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) big: u64,
    pub(super) small: u64,
    pub(super) tree: u64,
}

/// Makes `big.bin`, `small/` and `tree/` in `dir`.
pub(super) fn create(dir: &Path, big_mib: u64) -> Result<Sizes> {
    let mut random = Xorshift::new(0x9E37_79B9_7F4A_7C15);
    big_file(&dir.join("big.bin"), big_mib, &mut random)?;
    let mut bytes = vec![0; SMALL_BYTES];
    for name in small_names() {
        random.fill(&mut bytes);
        write(&dir.join(name), &bytes)?;
    }
    let tree = tree(&dir.join("tree"), &mut random)?;
    Ok(Sizes { big: big_mib << 20, small: (SMALL_FILES * SMALL_BYTES) as u64, tree })
}

/// The small files, relative to the data.
pub(super) fn small_names() -> Vec<String> {
    (0..SMALL_FILES).map(|n| format!("small/{n:03}.bin")).collect()
}

fn big_file(path: &Path, mib: u64, random: &mut Xorshift) -> Result {
    let mut file = File::create(path)?;
    let mut bytes = vec![0; 1 << 20];
    for _ in 0..mib {
        random.fill(&mut bytes);
        file.write_all(&bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}

/// Files of 1 to 16 KiB of text, which compress about as well as source code. Returns their size.
fn tree(dir: &Path, random: &mut Xorshift) -> Result<u64> {
    const WORDS: [&str; 8] = ["descriptor", "digest", "manifest", "blob", "layer", "subject", "tag", "mount"];
    let mut total = 0;
    for n in 0..TREE_DIRS * FILES_IN_DIR {
        let length = 1024 + (random.next() % (15 * 1024)) as usize;
        let mut text = String::with_capacity(length + 32);
        while text.len() < length {
            let value = random.next();
            text.push_str(WORDS[(value % 8) as usize]);
            text.push_str(&format!(" = {:x};\n", value >> 44));
        }
        total += text.len() as u64;
        write(&dir.join(format!("{:02}/{:02}.txt", n / FILES_IN_DIR, n % FILES_IN_DIR)), text)?;
    }
    Ok(total)
}

/// Marsaglia's generator: fast, and nothing can compress it.
struct Xorshift(u64);

impl Xorshift {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{ScratchDir, files_below};

    #[test]
    fn makes_what_it_says() {
        let scratch = ScratchDir::new(&std::env::temp_dir(), "xtask-data").unwrap();
        let sizes = create(scratch.path(), 1).unwrap();
        let bytes_in = |name: &str| {
            let files = files_below(&scratch.path().join(name)).unwrap();
            let bytes: u64 = files.iter().map(|file| std::fs::metadata(file).unwrap().len()).sum();
            (files.len(), bytes)
        };
        assert_eq!(bytes_in("tree"), (3000, sizes.tree));
        assert_eq!(bytes_in("small"), (200, sizes.small));
        assert_eq!(std::fs::metadata(scratch.path().join("big.bin")).unwrap().len(), sizes.big);
    }
}
