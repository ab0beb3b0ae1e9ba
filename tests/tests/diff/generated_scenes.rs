//! Scenes of generated names: unusual tags, repositories, references, file titles and annotations.
//!
//! The names come from a fixed seed, so that every run has the same cases. A difference that these scenes
//! find is fixed, or becomes a separate case in a scene.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use oras_testkit::random::Random;

use crate::scene_file::Scene;

const SEED: u64 = 0x0123_4567_89ab_cdef;
/// Special characters of names. `'`, `{` and `}` are missing, because they have a meaning in scenes.
const ODD: &[char] =
    &['.', '-', '_', '/', ':', '@', '+', ',', ' ', '!', '%', '~', '#', '"', '\\', 'ü', '名', 'A', '=', '*'];

/// Returns the scenes in the order of their names.
pub(crate) fn scenes() -> Vec<Scene> {
    let mut names = Names(Random(SEED));
    [
        ("generated-annotations", annotations(&mut names)),
        ("generated-references", references(&mut names)),
        ("generated-tags", tags(&mut names)),
        ("generated-titles", titles(&mut names)),
    ]
    .into_iter()
    .map(|(name, text)| Scene::parse(name.to_owned(), &text))
    .collect()
}

/// A generator of reproducible names.
struct Names(Random);

impl Names {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.next() >> 33).unwrap() % bound
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// Returns a word of up to `longest` characters of `alphabet`.
    fn word(&mut self, alphabet: &str, longest: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..=self.below(longest)).map(|_| letters[self.below(letters.len())]).collect()
    }

    /// Returns a tag that every registry accepts: a version, a platform, a digest with `-`, or any other
    /// word.
    fn tag(&mut self) -> String {
        let hex = |names: &mut Self, length: usize| -> String {
            (0..length).map(|_| char::from(b"0123456789abcdef"[names.below(16)])).collect()
        };
        match self.below(6) {
            0 => format!("{}.{}-rc{}", self.below(9), self.below(20), self.below(9)),
            1 => format!("v{}-{}", self.below(99), self.pick(&["alpine", "slim", "sha256", "linux-amd64"])),
            2 => {
                let algorithm = self.pick(&["sha256", "sha384", "sha512", "sha1", "md5", "blake3"]);
                let length = [32, 40, 63, 64, 65, 96][self.below(6)];
                format!("{algorithm}-{}", hex(self, length))
            }
            3 => format!("{}-{}", self.word("abcxyz0", 8), self.word("abcdef0123456789", 40)),
            4 => format!("{}{}", self.word("aZ9_", 2), self.word("abcXYZ019._-", 126)),
            _ => format!("sha256-{}{}", hex(self, 64), self.pick(&[".sig", ".att", ".sbom", "-x"])),
        }
    }

    /// Returns a tag with one to three special characters, which is rarely valid.
    fn odd(&mut self) -> String {
        let mut letters: Vec<char> = self.word("abcXYZ019", 8).chars().collect();
        for _ in 0..=self.below(3) {
            let place = self.below(letters.len() + 1);
            letters.insert(place, ODD[self.below(ODD.len())]);
        }
        letters.into_iter().collect()
    }

    /// Returns a repository name, which is mostly valid.
    fn repository(&mut self) -> String {
        let parts = self.below(3);
        let mut name = self.word("abc019", 5);
        for _ in 0..=parts {
            let separator = self
                .pick(&["/", "/", "-", "--", "_", "__", ".", "..", "___", "._", "//", "-/", "A", " ", "+"]);
            let _ = write!(name, "{separator}{}", self.word("abc019", 5));
        }
        name
    }
}

/// Returns true for a valid tag of the distribution-spec. The rule is repeated here, because tests must not
/// use the code that they test.
fn is_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128 && text.starts_with(word) && text.chars().all(|c| word(c) || c == '.' || c == '-')
}

/// Returns `count` different texts of `make`.
fn distinct(count: usize, mut make: impl FnMut() -> String) -> Vec<String> {
    let mut seen = BTreeSet::new();
    std::iter::from_fn(|| Some(make())).filter(|text| seen.insert(text.clone())).take(count).collect()
}

fn tags(names: &mut Names) -> String {
    let mut text = String::from(
        "@registry R api\n@file hi.txt hello world\\n\n@go push {R}/a:v1 hi.txt {C}\n@go push --oci-layout L:v1 hi.txt {C}\n",
    );
    for tag in distinct(80, || names.tag()) {
        let _ = writeln!(text, "$ resolve {{R}}/a:{tag}");
    }
    for tag in distinct(100, || names.odd()).into_iter().filter(|tag| !is_tag(tag)) {
        let _ = writeln!(text, "$ tag {{R}}/a:v1 -- '{tag}'\n  differs tags-checked-first stdout");
    }
    for tag in distinct(40, || names.odd()) {
        let _ = writeln!(text, "$ tag --oci-layout L:v1 -- '{tag}'");
    }
    for tag in distinct(60, || names.tag()).into_iter().filter(|tag| is_tag(tag)) {
        let _ = writeln!(text, "$ tag {{R}}/a:v1 {tag}");
    }
    let _ = writeln!(text, "@go tag --oci-layout L:v1 {}", distinct(60, || names.tag()).join(" "));
    for place in ["{R}/a", "--oci-layout L"] {
        for flags in ["", " --exclude-digest-tags"] {
            let _ = writeln!(text, "$ repo tags {place}{flags}\n  unordered");
        }
    }
    text
}

fn references(names: &mut Names) -> String {
    let mut text = String::from("@registry R api\n");
    for repository in distinct(90, || names.repository()) {
        let _ = writeln!(text, "$ resolve '{{R}}/{repository}:v1'");
    }
    for tag in distinct(60, || names.odd()) {
        let _ = writeln!(text, "$ resolve '{{R}}/a:{tag}'");
    }
    for tag in distinct(40, || names.odd()) {
        let _ = writeln!(text, "$ manifest fetch '{{R}}/a@{tag}'");
    }
    text
}

fn titles(names: &mut Names) -> String {
    let mut text = String::from("@registry R api\n");
    let plain = |name: &String| !name.contains([':', '/', '\\']) && !matches!(name.as_str(), "." | "..");
    for (place, name) in distinct(60, || names.odd()).into_iter().filter(plain).enumerate() {
        let _ = writeln!(text, "@sh printf 'file {place}' > './{name}'");
        let _ = writeln!(text, "$ push {{R}}/a:v1 {{C}} -- '{name}'\n  unordered");
        let _ = writeln!(text, "$ pull {{R}}/a:v1");
    }
    text
}

fn annotations(names: &mut Names) -> String {
    let mut text = String::from("@registry R api\n@file hi.txt hello world\\n\n");
    for key in distinct(80, || names.odd()) {
        let value = names.odd();
        let _ = writeln!(text, "$ push {{R}}/a:v1 hi.txt {{C}} -a '{key}={value}'\n  unordered");
    }
    text
}
