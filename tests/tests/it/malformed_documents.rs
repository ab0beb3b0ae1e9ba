//! Mutated manifests and indexes are either read or rejected, and edits keep them valid.

use std::time::{Duration, Instant};

use oras_spec::{ImageIndex, ImageManifest, IndexDocument, Manifest, MediaType, View, json};
use oras_testkit::random::Random;

/// The duration of each test.
const PATIENCE: Duration = Duration::from_secs(3);
/// The time limit for one document.
const LIMIT: Duration = Duration::from_secs(1);

const EMPTY: &str = r#"{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;

const PIECES: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\u0000",
    "\\ud800",
    "\\",
    "null",
    "true",
    "-1",
    "1e400",
    "4611686018427387904",
    "18446744073709551616",
    "0.5",
    "sha256:",
    "\"layers\":[],",
    "\"manifests\":[],",
    "\"mediaType\":\"x\",",
    "\"subject\":{},",
    "é\u{9b}",
    "\u{0}",
];

fn corpus() -> Vec<String> {
    let image = r#""mediaType":"application/vnd.oci.image.manifest.v1+json""#;
    let index = r#""mediaType":"application/vnd.oci.image.index.v1+json""#;
    vec![
        format!(
            r#"{{"schemaVersion":2,{image},"artifactType":"a/b","config":{EMPTY},"layers":[{EMPTY},{EMPTY}],"subject":{EMPTY},"annotations":{{"a":"b","é":"\u00e9"}},"x":[1.50,null]}}"#
        ),
        format!(r#"{{"schemaVersion":2,{index},"manifests":[{EMPTY}],"annotations":{{}}}}"#),
        format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"a/b","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"data":"e30=","urls":["http://x"],"platform":{{"os":"linux","architecture":"arm","variant":"v7","os.version":"1","os.features":["a"]}}}}]}}"#
        ),
        format!(
            r#"{{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","artifactType":"a/b","blobs":[{EMPTY}],"subject":{EMPTY}}}"#
        ),
        "{}".to_owned(),
    ]
}

/// Returns a document of the corpus with up to eight changes.
fn changed(random: &mut Random, corpus: &[String]) -> Vec<u8> {
    let mut bytes = corpus[random.below(corpus.len())].clone().into_bytes();
    for _ in 0..random.below(9) {
        let start = random.below(bytes.len());
        let end = (start + random.below(40)).min(bytes.len());
        match random.below(5) {
            0 if !bytes.is_empty() => bytes[start] ^= 1 << random.below(8),
            1 => drop(bytes.drain(start..end)),
            2 => {
                let again = bytes[start..end].to_vec();
                bytes.splice(end..end, again);
            }
            3 => {
                let other = corpus[random.below(corpus.len())].as_bytes();
                let cut = random.below(other.len());
                bytes.splice(start..end, other[cut..].iter().copied());
            }
            _ => drop(bytes.splice(start..start, PIECES[random.below(PIECES.len())].bytes())),
        }
    }
    bytes
}

fn tries(seed: u64, mut work: impl FnMut(Vec<u8>)) {
    let (begun, mut random, corpus) = (Instant::now(), Random(seed), corpus());
    while begun.elapsed() < PATIENCE {
        let bytes = changed(&mut random, &corpus);
        let one = Instant::now();
        work(bytes.clone());
        assert!(one.elapsed() < LIMIT, "takes {:?}: {}", one.elapsed(), String::from_utf8_lossy(&bytes));
    }
}

const TYPES: [MediaType; 5] = [
    MediaType::IMAGE_MANIFEST,
    MediaType::IMAGE_INDEX,
    MediaType::ARTIFACT_MANIFEST,
    MediaType::DOCKER_MANIFEST,
    MediaType::DOCKER_MANIFEST_LIST,
];

#[test]
fn mutated_manifest_is_read_or_rejected() {
    let mut read = 0_u32;
    tries(21, |bytes| {
        for media_type in TYPES {
            let Ok(manifest) = Manifest::parse(&media_type, bytes.clone().into()) else { continue };
            read += 1;
            assert_eq!(manifest.bytes(), &bytes, "the bytes are kept");
            assert!(manifest.children().len() <= bytes.len());
            let written = match manifest.view() {
                View::Image(view) => {
                    let written = view.to_bytes();
                    assert_eq!(**view, serde_json::from_slice::<ImageManifest>(&written).unwrap());
                    written
                }
                View::Index(view) => {
                    let written = view.to_bytes();
                    assert_eq!(**view, serde_json::from_slice::<ImageIndex>(&written).unwrap());
                    written
                }
                View::Artifact(_) => continue,
            };
            json::check_strict(&written).unwrap();
        }
    });
    assert!(read > 100, "only {read} documents were read");
}

#[test]
fn edited_index_remains_valid() {
    tries(22, |bytes| {
        let Ok(manifest) = Manifest::parse(&MediaType::IMAGE_INDEX, bytes.into()) else { return };
        let Ok(Some(mut document)) = IndexDocument::of(&manifest) else { return };
        document.annotate("k".to_owned(), "v".to_owned());
        let written = document.to_bytes();
        let again = Manifest::parse(&MediaType::IMAGE_INDEX, written.clone().into()).unwrap();
        assert_eq!(again.children(), manifest.children());
        assert_eq!(again.annotations().get("k").map(String::as_str), Some("v"));
    });
}

#[test]
fn mutated_json_is_indented_or_rejected() {
    tries(23, |bytes| {
        let strict = json::check_strict(&bytes).is_ok();
        if let Ok(pretty) = json::indent(&bytes)
            && strict
        {
            let (before, after): (serde_json::Value, serde_json::Value) =
                (serde_json::from_slice(&bytes).unwrap(), serde_json::from_slice(&pretty).unwrap());
            assert_eq!(before, after);
        }
    });
}

#[test]
fn deep_nesting_does_not_overflow_stack() {
    for piece in ["[", r#"{"a":"#, r#"[{"a":"#] {
        let text = piece.repeat(200_000);
        assert!(json::check_strict(text.as_bytes()).is_err());
        drop(json::indent(text.as_bytes()));
        for media_type in TYPES {
            assert!(Manifest::parse(&media_type, text.clone().into()).is_err());
        }
    }
}
