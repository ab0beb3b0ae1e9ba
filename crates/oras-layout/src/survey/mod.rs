//! Reads a layout that may be damaged: its files, and the graph of everything that its index reaches.

pub(crate) mod layout_graph;
pub(crate) mod layout_parts;
pub(crate) mod layout_survey;
pub(crate) mod stored_blobs;
pub(crate) mod survey_reader;
