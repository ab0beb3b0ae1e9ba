//! Finds symbolic links that lead out of an unpacked directory, from their targets alone: no link on disk is followed.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

/// The maximum number of links that Linux follows in one path.
const MAX_FOLLOWED: u32 = 40;
/// Bounds the work on malicious links: the average number of steps for each link, and the steps that are always
/// allowed. Links in real archives need only a few steps.
const STEPS_PER_LINK: usize = 64;
const MIN_STEPS: usize = 100_000;

/// The symbolic links of a directory: their targets, by path.
#[derive(Debug, Default)]
pub(super) struct Symlinks(HashMap<PathBuf, PathBuf>);

impl Symlinks {
    pub(super) fn insert(&mut self, path: PathBuf, target: PathBuf) {
        self.0.insert(path, target);
    }

    /// Removes a link that another entry replaces.
    pub(super) fn remove(&mut self, path: &Path) {
        self.0.remove(path);
    }

    /// Returns the target of a link that leads out of the directory, directly or through other links. The directory
    /// will be at `destination`.
    ///
    /// Links that take too many steps to resolve count as leading out. Links may dangle, form a circle, or be
    /// absolute if they lead back into the directory.
    pub(super) fn leading_out(&self, destination: &Path) -> Option<&Path> {
        let mut steps = self.0.len().saturating_mul(STEPS_PER_LINK).saturating_add(MIN_STEPS);
        self.0
            .iter()
            .find(|(path, _)| self.leads_out(path, destination, &mut steps))
            .map(|(_, target)| &**target)
    }

    fn leads_out(&self, path: &Path, destination: &Path, steps: &mut usize) -> bool {
        let (mut at, mut followed) = (PathBuf::new(), 0);
        // The parts that are still to be resolved, the next one last.
        let mut rest: Vec<Component<'_>> = path.components().rev().collect();
        while let Some(part) = rest.pop() {
            match part {
                Component::Normal(name) => at.push(name),
                Component::ParentDir if !at.pop() => return true,
                _ => continue,
            }
            // `..` leads to a directory that was resolved already, so only names can be links.
            let Some(target) = self.0.get(&at).filter(|_| part != Component::ParentDir) else { continue };
            followed += 1;
            // The system refuses to open such a path, so it leads nowhere.
            if followed > MAX_FOLLOWED {
                return false;
            }
            at.pop();
            let target = if target.is_absolute() || target.has_root() {
                at.clear();
                let Ok(below) = target.strip_prefix(destination) else { return true };
                below
            } else {
                target
            };
            let before = rest.len();
            rest.extend(target.components().rev());
            let Some(left) = steps.checked_sub(rest.len() - before) else { return true };
            *steps = left;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads_out(links: &[(&str, &str)]) -> bool {
        let mut all = Symlinks::default();
        for (path, target) in links {
            all.insert(path.into(), target.into());
        }
        all.leading_out(Path::new("/out/d")).is_some()
    }

    #[test]
    fn accepts_links_that_stay_inside() {
        for links in [
            &[("a", "b")][..],
            &[("a", "nowhere/at/all")],
            &[("x/a", "../b")],
            &[("a", "b"), ("b", "a")],
            &[("a", "a/a/a")],
            &[("a", ".")],
            &[("a", "")],
            &[("a", "/out/d/b")],
            &[("a", "/out/d")],
            &[("x", "y/z"), ("a", "x/../../b")],
        ] {
            assert!(!leads_out(links), "{links:?}");
        }
    }

    #[test]
    fn finds_links_that_lead_out() {
        for links in [
            &[("a", "..")][..],
            &[("a", "/etc")],
            &[("a", "/out/dd")],
            &[("a", "/out/d/..")],
            &[("a", "/out/d/x/../../y")],
            &[("x/a", "../../b")],
            // Each target stays inside by its text alone.
            &[("x/y/up", "../.."), ("x/y/out", "up/../b")],
            &[("x/l", "."), ("x/out", "l/l/../../b")],
        ] {
            assert!(leads_out(links), "{links:?}");
        }
    }

    #[test]
    fn bounds_the_work_on_tangled_links() {
        let mut all = Symlinks::default();
        for at in 0..2000 {
            let next = format!("l{}/", at + 1);
            all.insert(format!("l{at}").into(), next.repeat(300).into());
        }
        assert!(all.leading_out(Path::new("/out")).is_some());
    }
}
