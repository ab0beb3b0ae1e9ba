//! Compares the graph of a layout with its files.

use std::collections::{BTreeSet, HashMap};

use oras_spec::Digest;
use oras_spec::layout::BLOBS_DIR;

use super::layout_problem::{LayoutProblem, ProblemKind};
use crate::survey::layout_survey::{LayoutSurvey, NodeId, SurveyNode};
use crate::survey::stored_blobs::StoredBlobs;
use crate::survey::survey_reader::ManifestState;

/// The maximum number of tags that a finding names.
const MAX_TAGS: usize = 10;

/// Returns the path of a blob, relative to the layout.
pub(super) fn blob_path(digest: &Digest) -> String {
    format!("{BLOBS_DIR}/{}/{}", digest.algorithm_name(), digest.encoded())
}

/// Makes findings about the nodes of a graph.
pub(super) struct Findings<'a> {
    survey: &'a LayoutSurvey,
    stored: &'a StoredBlobs,
    /// The manifests that list or refer to each node. Made for the first finding.
    parents: HashMap<NodeId, Vec<NodeId>>,
    tags: HashMap<NodeId, Vec<&'a str>>,
    pub(super) problems: Vec<LayoutProblem>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(survey: &'a LayoutSurvey, stored: &'a StoredBlobs) -> Self {
        Self { survey, stored, parents: HashMap::new(), tags: HashMap::new(), problems: Vec::new() }
    }

    /// Finds missing blobs, wrong sizes and manifests that cannot be used.
    pub(super) fn compare(&mut self) {
        for (id, node) in self.survey.numbered() {
            let found = self.stored.blobs.get(&node.digest);
            let Some(found) = found else {
                self.add_missing(id, node);
                continue;
            };
            if !found.is_file {
                self.add(id, ProblemKind::Unreadable, "it is not a regular file".to_owned());
            } else if found.size != node.size {
                let message = format!("it has {} bytes instead of {}", found.size, node.size);
                self.add(id, ProblemKind::WrongSize, message);
            } else {
                self.add_manifest_state(id, node);
            }
        }
        for conflict in &self.survey.size_conflicts {
            let stored = self.stored.blobs.get(&self.survey.node(conflict.node).digest);
            // If the file has this size, the first descriptor is wrong and was reported.
            if stored.is_some_and(|stored| stored.size != conflict.size) {
                let message = format!("a descriptor says that it has {} bytes", conflict.size);
                let mut problem = self.problem(conflict.node, ProblemKind::WrongSize, message);
                problem.size = Some(conflict.size);
                problem.listed_by = conflict.listed_by.map(|parent| self.survey.node(parent).digest.clone());
                self.problems.push(problem);
            }
        }
    }

    fn add_missing(&mut self, id: NodeId, node: &SurveyNode) {
        let (kind, message) = if self.stored.set_aside.get(&node.digest) == Some(&node.size) {
            (ProblemKind::InterruptedRemoval, "its removal was interrupted")
        } else if !node.is_listed {
            (ProblemKind::MissingSubject, "a referrer has this subject, which does not exist")
        } else if node.is_foreign {
            (ProblemKind::ForeignLayer, "the foreign layer is not in the layout")
        } else {
            (ProblemKind::Missing, "the blob does not exist")
        };
        self.add(id, kind, message.to_owned());
        if kind == ProblemKind::MissingSubject {
            let referrer = self.survey.numbered().find(|(_, other)| other.subject == Some(id));
            if let (Some((_, referrer)), Some(problem)) = (referrer, self.problems.last_mut()) {
                problem.message = format!("the subject of {} does not exist", referrer.digest);
            }
        }
    }

    fn add_manifest_state(&mut self, id: NodeId, node: &SurveyNode) {
        let (kind, message) = match &node.state {
            ManifestState::NotManifest | ManifestState::Read => return,
            // The blob exists, so it was added since the graph was read.
            ManifestState::Missing => return,
            ManifestState::WrongDigest => {
                (ProblemKind::WrongDigest, "its bytes do not have this digest".to_owned())
            }
            ManifestState::Malformed(message) => (ProblemKind::Malformed, message.clone()),
            ManifestState::Unreadable(message) => (ProblemKind::Unreadable, message.clone()),
        };
        self.add(id, kind, message);
    }

    /// Adds a finding about a node.
    pub(super) fn add(&mut self, id: NodeId, kind: ProblemKind, message: String) {
        let problem = self.problem(id, kind, message);
        self.problems.push(problem);
    }

    fn problem(&mut self, id: NodeId, kind: ProblemKind, message: String) -> LayoutProblem {
        let node = self.survey.node(id);
        LayoutProblem {
            kind,
            path: blob_path(&node.digest),
            digest: Some(node.digest.clone()),
            size: Some(node.size),
            listed_by: node.listed_by.map(|parent| self.survey.node(parent).digest.clone()),
            tags: if kind.is_damage() { self.tags_above(id) } else { Vec::new() },
            message,
        }
    }

    /// Returns tags from which the node can be reached.
    fn tags_above(&mut self, id: NodeId) -> Vec<String> {
        if self.tags.is_empty() {
            self.find_parents();
        }
        let mut tags = BTreeSet::new();
        let (mut seen, mut next) = (BTreeSet::from([id]), vec![id]);
        while let Some(node) = next.pop() {
            tags.extend(self.tags.get(&node).into_iter().flatten().map(|tag| (*tag).to_owned()));
            if tags.len() >= MAX_TAGS {
                break;
            }
            let parents = self.parents.get(&node).into_iter().flatten();
            next.extend(parents.copied().filter(|parent| seen.insert(*parent)));
        }
        tags.into_iter().take(MAX_TAGS).collect()
    }

    fn find_parents(&mut self) {
        for (id, node) in self.survey.numbered() {
            for child in &node.children {
                self.parents.entry(*child).or_default().push(id);
            }
            // A damaged referrer hurts the tags of its subject.
            if let Some(subject) = node.subject {
                self.parents.entry(id).or_default().push(subject);
            }
        }
        for entry in &self.survey.entries {
            if let Some(tag) = &entry.tag {
                self.tags.entry(entry.node).or_default().push(tag);
            }
        }
    }
}
