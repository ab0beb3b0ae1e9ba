//! Where the symbolic links of an unpacked directory lead: nothing is followed to find out.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

/// Links that are followed before a system gives up: Linux stops at 40.
const MAX_FOLLOWED: u32 = 40;
/// Steps for each link on average, and for few links; real ones need a handful.
const STEPS_FOR_EACH: usize = 64;
const STEPS_FOR_FEW: usize = 100_000;

/// The links of a directory, by path, with their targets.
#[derive(Debug, Default)]
pub(super) struct Links(HashMap<PathBuf, PathBuf>);

impl Links {
    pub(super) fn insert(&mut self, path: PathBuf, target: PathBuf) {
        self.0.insert(path, target);
    }

    /// Another entry took the place of the link.
    pub(super) fn remove(&mut self, path: &Path) {
        self.0.remove(path);
    }

    /// The target of a link that leads out of the directory, which will be at `place`, itself or through others.
    /// Links that nobody can see through count as such. Links may dangle, lead in a circle, and be absolute if they lead back in.
    pub(super) fn leading_out(&self, place: &Path) -> Option<&Path> {
        let mut steps = self.0.len().saturating_mul(STEPS_FOR_EACH).saturating_add(STEPS_FOR_FEW);
        self.0.iter().find(|(path, _)| self.leads_out(path, place, &mut steps)).map(|(_, target)| &**target)
    }

    fn leads_out(&self, path: &Path, place: &Path, steps: &mut usize) -> bool {
        let (mut at, mut followed) = (PathBuf::new(), 0);
        // What is still to go, the next part last.
        let mut rest: Vec<Component<'_>> = path.components().rev().collect();
        while let Some(part) = rest.pop() {
            match part {
                Component::Normal(name) => at.push(name),
                Component::ParentDir if !at.pop() => return true,
                _ => continue,
            }
            let Some(target) = self.0.get(&at).filter(|_| part != Component::ParentDir) else { continue };
            followed += 1;
            if followed > MAX_FOLLOWED {
                return false;
            }
            at.pop();
            let target = if target.is_absolute() || target.has_root() {
                at.clear();
                let Ok(below) = target.strip_prefix(place) else { return true };
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

    fn out(links: &[(&str, &str)]) -> bool {
        let mut all = Links::default();
        for (path, target) in links {
            all.insert(path.into(), target.into());
        }
        all.leading_out(Path::new("/out/d")).is_some()
    }

    #[test]
    fn links_stay_inside() {
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
            assert!(!out(links), "{links:?}");
        }
    }

    #[test]
    fn links_lead_out() {
        for links in [
            &[("a", "..")][..],
            &[("a", "/etc")],
            &[("a", "/out/dd")],
            &[("a", "/out/d/..")],
            &[("a", "/out/d/x/../../y")],
            &[("x/a", "../../b")],
            // Each is fine by its text alone.
            &[("x/y/up", "../.."), ("x/y/out", "up/../b")],
            &[("x/l", "."), ("x/out", "l/l/../../b")],
        ] {
            assert!(out(links), "{links:?}");
        }
    }

    #[test]
    fn tangles_end() {
        let mut all = Links::default();
        for at in 0..2000 {
            let next = format!("l{}/", at + 1);
            all.insert(format!("l{at}").into(), next.repeat(300).into());
        }
        assert!(all.leading_out(Path::new("/out")).is_some());
    }
}
