//! Random changes give the same index in place as in memory, also when writes are interrupted.

use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use oras_fs::FileStamp;
use oras_spec::{Descriptor, Digest, MediaType, annotation};

use super::lookup_file::LookupFile;
use super::*;
use crate::disk::create_layout::create_layout;
use crate::disk::index_file::{read_index, replace_index};
use crate::index::{Index, IndexChange, TagQuery};

fn descriptor(number: usize) -> Descriptor {
    // Different lengths of size and annotation, so that some entries fit over others and some do not.
    let mut node = Descriptor::of(MediaType::IMAGE_MANIFEST, number.to_string().as_bytes());
    node.size = 10_u64.pow((number % 7) as u32);
    if number.is_multiple_of(5) {
        node.annotations.insert("k".to_owned(), "ä\"\\".repeat(number % 11));
    }
    node
}

fn tag(number: usize) -> String {
    match number % 4 {
        0 => format!("docker.io/library/tool:v{number}"),
        1 => format!("\"odd\" näme {number}"),
        _ => format!("v{number}"),
    }
}

/// Writes into the same file, as the Go tool does.
fn write_as_another_tool(root: &Path, index: &Index) {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).truncate(true).open(root.join("index.json")).unwrap();
    file.write_all(&index.to_bytes()).unwrap();
}

/// Makes a layout with a large index.
fn large_layout(root: &Path) -> Index {
    create_layout(root).unwrap();
    let mut index = Index::default();
    for number in 0..300 {
        index.apply(&IndexChange::List(descriptor(1000 + number)));
    }
    replace_index(root, &index).unwrap();
    index
}

/// Returns digests and tags of all entries, sorted.
fn entries(index: &Index) -> Vec<(Digest, Option<String>)> {
    let entry = |node: Descriptor| {
        let tag = node.annotations.get(annotation::REF_NAME).cloned();
        (node.digest, tag)
    };
    let mut entries: Vec<_> = index.descriptors().map(entry).collect();
    entries.sort();
    entries
}

/// A linear congruential generator: the sequence is the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn change(&mut self) -> IndexChange {
        let node = descriptor(self.below(40) + if self.below(10) == 0 { 1000 } else { 0 });
        match self.below(10) {
            0..3 => IndexChange::List(node),
            3..7 => IndexChange::Tag(node, tag(self.below(30))),
            7..9 => IndexChange::Untag(tag(self.below(30))),
            _ => IndexChange::Remove(node.digest),
        }
    }
}

#[test]
fn edits_in_place_have_the_same_result_as_in_memory() {
    for seed in 0..3 {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let mut expected = large_layout(root);
        let mut random = Random(seed);
        let mut replaced = 0;
        for round in 0..80 {
            let changes: Vec<_> = (0..1 + random.below(4)).map(|_| random.change()).collect();
            let changes: Vec<_> = changes.iter().collect();
            for change in &changes {
                expected.apply(change);
            }
            if apply_flat(root, &changes).unwrap().is_none() {
                replaced += 1;
                replace_index(root, &expected).unwrap();
            }
            let read = read_index(root).unwrap();
            assert!(entries(&read) == entries(&expected), "seed {seed} round {round}: {changes:?}");
            let name = tag(random.below(30));
            let node = descriptor(random.below(40));
            if let Some(found) = tagged(root, &name) {
                assert_eq!(
                    found.map(|node| node.digest),
                    read.tagged(&name).map(|node| node.digest),
                    "{name}"
                );
            }
            if let Some(found) = find(root, &node.digest) {
                assert_eq!(found.is_some(), read.contains(&node.digest), "seed {seed} round {round}");
            }
            let inner = format!("v{}", 4 * random.below(8));
            if let Some(mut found) = full_references(root, &inner) {
                found.sort();
                assert_eq!(found, read.full_references(&inner).unwrap(), "{inner}");
            }
        }
        assert!(replaced < 8, "most changes should not need the whole index: {replaced}");
    }
}

#[test]
fn new_entries_cost_no_new_index() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    large_layout(root);
    let inode = || FileStamp::of(&fs::metadata(root.join("index.json")).unwrap()).inode;
    let before = inode();
    for number in 0..200 {
        let changes =
            [IndexChange::List(descriptor(number)), IndexChange::Tag(descriptor(number), "v".into())];
        assert_eq!(apply_flat(root, &[&changes[0], &changes[1]]).unwrap(), Some(true));
        assert_eq!(apply_flat(root, &[&changes[0], &changes[1]]).unwrap(), Some(false));
    }
    assert_eq!(inode(), before);
    assert_eq!(tagged(root, "v").unwrap().unwrap().digest, descriptor(199).digest);
    assert_eq!(read_index(root).unwrap().len(), 500);
}

#[test]
fn tags_of_one_manifest_stay_cheap() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    large_layout(root);
    for number in 0..100 {
        let change = IndexChange::Tag(descriptor(1), format!("t{number}"));
        assert_eq!(apply_flat(root, &[&change]).unwrap(), Some(true), "{number}");
    }
    assert_eq!(tagged(root, "t99").unwrap().unwrap().digest, descriptor(1).digest);
    assert!(find(root, &descriptor(1).digest).unwrap().is_some());
    assert_eq!(apply_flat(root, &[&IndexChange::Remove(descriptor(1).digest)]).unwrap(), None);
}

#[test]
fn an_index_of_another_writer_is_replaced_until_that_writer_pauses() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let mut index = large_layout(root);
    assert_eq!(apply_flat(root, &[&IndexChange::Tag(descriptor(1), "v1".into())]).unwrap(), Some(true));
    index.apply(&IndexChange::Tag(descriptor(2), "v1".into()));
    write_as_another_tool(root, &index);
    assert_eq!(tagged(root, "v1"), None);
    let change = IndexChange::List(descriptor(3));
    assert_eq!(apply_flat(root, &[&change]).unwrap(), None);
    index.apply(&change);
    replace_index(root, &index).unwrap();
    // The other tool may still be writing.
    assert_eq!(tagged(root, "v1").unwrap().unwrap().digest, descriptor(2).digest);
    assert_eq!(apply_flat(root, &[&IndexChange::List(descriptor(4))]).unwrap(), None);
    replace_index(root, &index).unwrap();
    assert_eq!(apply_flat(root, &[&IndexChange::List(descriptor(4))]).unwrap(), None);
    LookupFile::open(root, true).unwrap().end_pause_for_test();
    assert_eq!(apply_flat(root, &[&IndexChange::List(descriptor(4))]).unwrap(), Some(true));
    assert_eq!(find(root, &descriptor(1).digest), Some(None));
}

/// Whatever the lookup file has, no answer is wrong, and no change is lost.
#[test]
fn a_damaged_lookup_file_is_not_used() {
    let damages: [fn(&mut Vec<u8>); 8] = [
        |bytes| bytes[4096..].fill(0),
        |bytes| bytes.truncate(4096),
        |bytes| bytes.truncate(5000),
        |bytes| bytes.clear(),
        |bytes| bytes.iter_mut().for_each(|byte| *byte = byte.wrapping_mul(31).wrapping_add(7)),
        |bytes| bytes[4096..].iter_mut().for_each(|byte| *byte ^= 1),
        |bytes| bytes[10] ^= 1,
        |bytes| bytes[200] ^= 4,
    ];
    for (number, damage) in damages.iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let mut index = large_layout(root);
        let setup = IndexChange::Tag(descriptor(1), "v1".into());
        assert_eq!(apply_flat(root, &[&setup]).unwrap(), Some(true));
        index.apply(&setup);
        let path = root.join("index.lookup");
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::File::create(&path).and_then(|mut file| file.write_all(&bytes)).unwrap();
        assert!(tagged(root, "v1").is_none_or(|found| found.is_some()), "{number}");
        let moved = IndexChange::Tag(descriptor(2), "v1".into());
        let applied = apply_flat(root, &[&moved]).unwrap();
        let read = read_index(root).unwrap();
        index.apply(&moved);
        match applied {
            Some(_) => assert_eq!(entries(&read), entries(&index), "{number}"),
            None => assert_eq!(read.tagged("v1").unwrap().digest, descriptor(1).digest, "{number}"),
        }
    }
}

#[test]
fn long_entries_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let mut index = large_layout(root);
    let mut long = descriptor(1);
    long.annotations.insert("k".to_owned(), "x".repeat(600_000));
    let change = IndexChange::Tag(long.clone(), "long".into());
    assert_eq!(apply_flat(root, &[&change]).unwrap(), None);
    index.apply(&change);
    replace_index(root, &index).unwrap();
    assert!(tagged(root, "long").is_none_or(|found| found.is_some()));
    assert_eq!(apply_flat(root, &[&IndexChange::Untag("long".into())]).unwrap(), None);
}

#[test]
fn an_index_with_a_second_link_is_not_edited() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    large_layout(root);
    fs::hard_link(root.join("index.json"), root.join("copy")).unwrap();
    assert_eq!(apply_flat(root, &[&IndexChange::List(descriptor(3))]).unwrap(), None);
}

/// After a power failure, any bytes of an edit may be on the disk, while its record is.
#[test]
fn the_next_writer_completes_an_interrupted_edit() {
    for written in [0, 1, 40, 200, usize::MAX] {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        large_layout(root);
        let setup = IndexChange::Tag(descriptor(1), "v1".into());
        assert_eq!(apply_flat(root, &[&setup]).unwrap(), Some(true));
        let path = root.join("index.json");
        let before = fs::read(&path).unwrap();
        let moved = IndexChange::Tag(descriptor(2), "v1".into());
        assert_eq!(apply_flat(root, &[&moved]).unwrap(), Some(true));
        let after = fs::read(&path).unwrap();
        assert_ne!(before, after);

        // Takes the bytes of the edit back, apart from the first `written` ones, and marks it as unfinished again.
        let file = fs::File::options().write(true).open(&path).unwrap();
        let changed = (0..after.len()).filter(|at| before.get(*at) != after.get(*at));
        for at in changed.skip(written) {
            file.write_all_at(before.get(at..=at).unwrap_or(b"\0"), at as u64).unwrap();
        }
        let mut lookup = LookupFile::open(root, true).unwrap();
        lookup.restore_last_edits_for_test();
        assert!(LookupFile::open(root, false).unwrap().has_edits());

        assert_eq!(apply_flat(root, &[&IndexChange::List(descriptor(7))]).unwrap(), Some(true), "{written}");
        let read = read_index(root).unwrap();
        assert_eq!(read.tagged("v1").unwrap().digest, descriptor(2).digest, "{written}");
        assert!(read.contains(&descriptor(1).digest) && read.contains(&descriptor(7).digest));
    }
}

/// A record of edits does not belong to an index that another tool has written since.
#[test]
fn edits_are_not_completed_in_the_index_of_another_writer() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let mut index = large_layout(root);
    assert_eq!(apply_flat(root, &[&IndexChange::Tag(descriptor(1), "v1".into())]).unwrap(), Some(true));
    index.apply(&IndexChange::List(descriptor(500)));
    write_as_another_tool(root, &index);
    LookupFile::open(root, true).unwrap().restore_last_edits_for_test();
    assert_eq!(apply_flat(root, &[&IndexChange::List(descriptor(7))]).unwrap(), None);
    let read = read_index(root).unwrap();
    assert_eq!(entries(&read), entries(&index));
}
