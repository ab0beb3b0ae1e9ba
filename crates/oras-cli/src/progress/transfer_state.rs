//! What is known about a transfer while it runs: its items, their bytes, and why bytes were not transferred.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use oras::spec::{Descriptor, Digest};
use oras::store::Pushed;
use oras::{Event, Step};

use super::words::{StatusWords, name_of};
use crate::terminal_text;

/// The number of finished items that are shown with a line each. Of more items, only their number is shown.
pub(crate) const MAX_FINISHED_LINES: usize = 10;
/// A rate is shown after this time. Before, it would be the speed of a buffer instead of the network.
const MIN_RATE_TIME: Duration = Duration::from_secs(1);
/// Smaller content is transferred again from its start.
const MIN_RESUMABLE_SIZE: u64 = 4 << 20;
/// The weight of the newest measurement in a rate, in percent.
const NEWEST_WEIGHT: u64 = 20;

/// The state of all transfers of a command.
pub(crate) struct TransferState {
    pub(crate) words: StatusWords,
    pub(crate) started: Instant,
    pub(crate) totals: Totals,
    pub(crate) active: Vec<ActiveItem>,
    /// The lines of finished items, at most [`MAX_FINISHED_LINES`].
    pub(crate) finished: Vec<String>,
    pub(crate) rate: Rate,
    /// True if the files were counted before the transfer.
    knows_files: bool,
    /// Hashes of the planned and of the finished items. The items would need ten times as much memory.
    planned: HashSet<u64>,
    done: HashSet<u64>,
    hasher: RandomState,
}

/// The sums of a transfer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    /// True if the items are files; else they are all blobs and manifests.
    pub(crate) are_files: bool,
    pub(crate) items: u64,
    pub(crate) items_done: u64,
    /// The number of bytes of all items; `None` if it is not known.
    pub(crate) bytes: Option<u64>,
    /// The bytes of finished items.
    bytes_done: u64,
    /// The transferred bytes.
    pub(crate) moved: u64,
    pub(crate) existed: NotMoved,
    pub(crate) adopted: NotMoved,
    pub(crate) resumed: NotMoved,
}

/// Items whose bytes were not transferred, or not all of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NotMoved {
    pub(crate) items: u64,
    pub(crate) bytes: u64,
}

impl NotMoved {
    fn add(&mut self, bytes: u64) {
        self.items += 1;
        self.bytes += bytes;
    }
}

/// An item that is being transferred.
pub(crate) struct ActiveItem {
    key: Key,
    pub(crate) name: String,
    /// The size in bytes; `None` for a directory that is packed while it is sent.
    pub(crate) size: Option<u64>,
    /// The transferred bytes.
    pub(crate) moved: u64,
    /// The bytes that the target had before.
    pub(crate) present: u64,
    pub(crate) started: Instant,
    /// When a line about the item was printed last.
    pub(crate) last_line: Instant,
    pub(crate) rate: Rate,
}

impl ActiveItem {
    /// Returns the number of bytes that the target has. Bytes that were sent twice count once.
    pub(crate) fn complete(&self) -> u64 {
        let bytes = self.moved + self.present;
        self.size.map_or(bytes, |size| bytes.min(size))
    }
}

#[derive(Clone, PartialEq)]
enum Key {
    Digest(Digest),
    /// The title of a file whose digest is not known yet.
    Title(String),
}

/// A smoothed rate in bytes per second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    per_second: Option<u64>,
    measured: Option<(Instant, u64)>,
}

impl Rate {
    /// Returns the rate, if it was measured for long enough.
    pub(crate) fn get(self) -> Option<u64> {
        self.per_second
    }

    /// Measures the bytes since the last call. `moved` is the sum since `started`.
    fn measure(&mut self, now: Instant, started: Instant, moved: u64) {
        let (last, before) = self.measured.unwrap_or((started, 0));
        let elapsed = now.saturating_duration_since(last);
        let is_first = self.per_second.is_none();
        if elapsed.is_zero() || (is_first && elapsed < MIN_RATE_TIME) {
            return;
        }
        let newest = per_second(moved - before, elapsed);
        self.per_second = Some(match self.per_second {
            None => newest,
            Some(rate) => (rate * (100 - NEWEST_WEIGHT) + newest * NEWEST_WEIGHT) / 100,
        });
        self.measured = Some((now, moved));
    }
}

/// Returns the rate of `bytes` in `time`.
pub(crate) fn per_second(bytes: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(bytes) * 1_000_000 / time.as_micros().max(1)).unwrap_or(u64::MAX)
}

impl TransferState {
    pub(crate) fn new(words: StatusWords) -> Self {
        Self {
            words,
            started: Instant::now(),
            totals: Totals { bytes: Some(0), are_files: words.counts_files, ..Totals::default() },
            active: Vec::new(),
            finished: Vec::new(),
            rate: Rate::default(),
            knows_files: false,
            planned: HashSet::new(),
            done: HashSet::new(),
            hasher: RandomState::new(),
        }
    }

    /// Returns the number of complete bytes, of finished and of active items.
    pub(crate) fn complete(&self) -> u64 {
        self.totals.bytes_done + self.active.iter().map(ActiveItem::complete).sum::<u64>()
    }

    /// Returns the number of bytes that a later run does not transfer again.
    pub(crate) fn resumable(&self) -> u64 {
        let is_kept = |item: &&ActiveItem| item.size.is_some_and(|size| size >= MIN_RESUMABLE_SIZE);
        self.totals.bytes_done + self.active.iter().filter(is_kept).map(ActiveItem::complete).sum::<u64>()
    }

    /// Returns the item of a step with bytes.
    pub(crate) fn item_of(&mut self, step: Step<'_>) -> Option<&mut ActiveItem> {
        match step {
            Step::Sending { title, .. } => self.find(&Key::Title(title.to_owned())),
            Step::Node(Event::Progress(node, _)) => self.find(&Key::Digest(node.digest.clone())),
            _ => None,
        }
    }

    /// Returns the time until the end at the current rate, if it can be known.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let left = self.totals.bytes?.checked_sub(self.complete())?;
        left.checked_div(self.rate.get()?).filter(|_| left > 0).map(Duration::from_secs)
    }

    /// Measures all rates.
    pub(crate) fn measure_rates(&mut self, now: Instant) {
        self.rate.measure(now, self.started, self.totals.moved);
        for item in &mut self.active {
            item.rate.measure(now, item.started, item.moved);
        }
    }

    /// Updates the state.
    pub(crate) fn update(&mut self, step: Step<'_>) {
        match step {
            Step::Files { count, bytes } => {
                self.knows_files = true;
                self.totals.items = count as u64;
                self.totals.bytes = bytes;
            }
            Step::Sending { title, size, bytes } => {
                self.sending(title, size, |item| item.moved += bytes, bytes)
            }
            Step::Sent { title, size, bytes } => self.sending(title, size, |item| item.present += bytes, 0),
            Step::Restored(node) => self.restored(node),
            Step::Node(Event::Opening(node)) => self.plan(node),
            Step::Node(Event::Opened { children, .. }) => children.iter().for_each(|child| self.plan(child)),
            // The target has the root, and with it everything below.
            Step::Node(Event::Naming(node)) => self.finish(node, Pushed::Existed),
            Step::Node(Event::Started(node)) => self.start(node),
            Step::Node(Event::Progress(node, bytes)) => {
                self.totals.moved += bytes;
                if let Some(item) = self.find(&Key::Digest(node.digest.clone())) {
                    item.moved += bytes;
                }
            }
            Step::Node(Event::Present(node, bytes)) => {
                if let Some(item) = self.find(&Key::Digest(node.digest.clone())) {
                    item.present += bytes;
                }
            }
            Step::Node(Event::Finished { node, outcome, children }) => {
                self.finish(node, outcome);
                // The copies of a file under other titles are complete with their manifest.
                for child in children.iter().filter(|child| child.title().is_some()) {
                    self.complete_item(child);
                }
            }
            Step::Node(Event::Twin { node, outcome }) => self.finish(node, outcome),
            _ => {}
        }
    }

    fn find(&mut self, key: &Key) -> Option<&mut ActiveItem> {
        self.active.iter_mut().find(|item| item.key == *key)
    }

    fn hash(&self, node: &Descriptor) -> u64 {
        self.hasher.hash_one((&node.digest, node.title()))
    }

    /// Returns true if the node is one of the counted items.
    fn is_counted(&self, node: &Descriptor) -> bool {
        !self.totals.are_files || node.title().is_some()
    }

    /// Adds a node to the totals, unless the files of a push are counted already.
    fn plan(&mut self, node: &Descriptor) {
        if self.knows_files || !self.is_counted(node) || !self.planned.insert(self.hash(node)) {
            return;
        }
        self.totals.items += 1;
        self.totals.bytes = self.totals.bytes.map(|bytes| bytes + node.size);
    }

    fn start(&mut self, node: &Descriptor) {
        let key = Key::Digest(node.digest.clone());
        if self.find(&key).is_none() && !self.is_sent(node) {
            self.active.push(ActiveItem::new(key, &name_of(node), Some(node.size)));
        }
    }

    /// Returns true if the node was sent before its digest was known.
    fn is_sent(&mut self, node: &Descriptor) -> bool {
        node.title().is_some_and(|title| self.find(&Key::Title(title.to_owned())).is_some())
    }

    fn sending(&mut self, title: &str, size: u64, add: impl FnOnce(&mut ActiveItem), moved: u64) {
        self.totals.moved += moved;
        let key = Key::Title(title.to_owned());
        if self.find(&key).is_none() {
            // Zero means that the size is unknown.
            let size = Some(size).filter(|size| *size > 0);
            self.active.push(ActiveItem::new(key.clone(), title, size));
        }
        if let Some(item) = self.find(&key) {
            add(item);
        }
    }

    fn finish(&mut self, node: &Descriptor, outcome: Pushed) {
        let keys =
            [Some(Key::Digest(node.digest.clone())), node.title().map(|title| Key::Title(title.to_owned()))];
        let position = self.active.iter().position(|item| keys.iter().flatten().any(|key| *key == item.key));
        let item = position.map(|position| self.active.remove(position));
        let (moved, present) = item.map_or((0, 0), |item| (item.moved, item.present));
        // A pull reads the manifests and stores none.
        if self.words.shows_manifests && node.media_type.is_manifest() {
            return;
        }
        match outcome {
            // A file that is there already is reported as present.
            Pushed::Copied if present == node.size && present > 0 => self.totals.existed.add(node.size),
            Pushed::Copied => {
                // Content in memory is sent without progress.
                self.totals.moved += node.size.saturating_sub(moved + present);
                if present > 0 {
                    self.totals.resumed.add(present);
                }
            }
            Pushed::Existed => self.totals.existed.add(node.size),
            Pushed::Adopted => self.totals.adopted.add(node.size),
        }
        let is_present = outcome == Pushed::Copied && present == node.size && present > 0;
        let word =
            if is_present || outcome == Pushed::Existed { "Exists" } else { self.words.outcome(outcome) };
        self.complete_item(node);
        self.finish_line(word, node);
    }

    fn restored(&mut self, node: &Descriptor) {
        self.complete_item(node);
        self.finish_line("Restored", node);
    }

    fn complete_item(&mut self, node: &Descriptor) {
        if !self.is_counted(node) || !self.done.insert(self.hash(node)) {
            return;
        }
        self.totals.items_done += 1;
        self.totals.bytes_done += node.size;
        // A node without a plan, such as a lone blob.
        self.totals.items = self.totals.items.max(self.totals.items_done);
    }

    fn finish_line(&mut self, word: &str, node: &Descriptor) {
        if self.finished.len() <= MAX_FINISHED_LINES {
            let width = self.words.started.len().max(self.words.finished.len());
            let name = terminal_text::name(&name_of(node));
            self.finished.push(format!("✓ {:width$} {} {name}", word.trim_end(), node.digest.short()));
        }
    }
}

impl ActiveItem {
    fn new(key: Key, name: &str, size: Option<u64>) -> Self {
        let (name, started) = (terminal_text::name(name), Instant::now());
        Self { key, name, size, moved: 0, present: 0, started, last_line: started, rate: Rate::default() }
    }
}

#[cfg(test)]
mod tests {
    use oras::spec::{MediaType, annotation};

    use super::super::words::{COPY, PULL, PUSH};
    use super::*;

    fn file(title: &str, size: u64) -> Descriptor {
        let mut node = Descriptor::of(MediaType::LAYER_TAR, title.as_bytes());
        node.size = size;
        node.annotations.insert(annotation::TITLE.to_owned(), title.to_owned());
        node
    }

    fn finish(state: &mut TransferState, node: &Descriptor, outcome: Pushed) {
        state.update(Step::Node(Event::Finished { node, outcome, children: &[] }));
    }

    #[test]
    fn counts_files_and_bytes_of_a_pull() {
        let mut state = TransferState::new(PULL);
        let (root, big, small) = (file("", 700), file("big", 100), file("small", 10));
        let children = [big.clone(), small.clone()];
        state.update(Step::Node(Event::Opened { node: &root, children: &children, left_out: &[] }));
        assert_eq!((state.totals.items, state.totals.bytes), (2, Some(110)));
        state.update(Step::Node(Event::Started(&big)));
        state.update(Step::Node(Event::Present(&big, 40)));
        state.update(Step::Node(Event::Progress(&big, 30)));
        assert_eq!((state.complete(), state.totals.moved), (70, 30));
        state.update(Step::Node(Event::Progress(&big, 30)));
        finish(&mut state, &big, Pushed::Copied);
        finish(&mut state, &small, Pushed::Existed);
        assert_eq!((state.totals.items_done, state.complete(), state.totals.moved), (2, 110, 60));
        assert_eq!((state.totals.resumed.bytes, state.totals.existed.bytes), (40, 10));
        assert!(state.finished[1].starts_with("✓ Exists "), "{:?}", state.finished);
    }

    #[test]
    fn nodes_of_two_manifests_count_once() {
        let mut state = TransferState::new(COPY);
        let (first, second, blob) = (file("a", 1), file("b", 2), file("c", 50));
        for node in [&first, &second] {
            let children = std::slice::from_ref(&blob);
            state.update(Step::Node(Event::Opening(node)));
            state.update(Step::Node(Event::Opened { node, children, left_out: &[] }));
        }
        assert_eq!((state.totals.items, state.totals.bytes), (3, Some(53)));
        finish(&mut state, &blob, Pushed::Adopted);
        assert_eq!((state.totals.items_done, state.totals.moved, state.totals.adopted.bytes), (1, 0, 50));
    }

    #[test]
    fn sent_files_are_finished_by_title() {
        let mut state = TransferState::new(PUSH);
        state.update(Step::Files { count: 1, bytes: None });
        state.update(Step::Sending { title: "dir", size: 0, bytes: 9 });
        state.update(Step::Node(Event::Started(&file("dir", 9))));
        assert_eq!((state.active.len(), state.active[0].size), (1, None));
        finish(&mut state, &file("dir", 9), Pushed::Copied);
        assert_eq!((state.active.len(), state.totals.moved, state.totals.items_done), (0, 9, 1));
        assert_eq!(state.totals.bytes, None);
    }

    #[test]
    fn bytes_that_are_sent_twice_never_exceed_the_size() {
        let mut state = TransferState::new(COPY);
        let node = file("a", 100);
        state.update(Step::Node(Event::Started(&node)));
        state.update(Step::Node(Event::Progress(&node, 80)));
        state.update(Step::Node(Event::Progress(&node, 80)));
        assert_eq!((state.complete(), state.totals.moved), (100, 160));
    }
}
