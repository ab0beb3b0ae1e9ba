//! Reads the visible state of a registry: repositories, tags, manifests, referrers.

use std::collections::BTreeMap;

use crate::http::ask;

const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json";

/// Returns an entry for each tag: `repository:tag`, and the digest with the entries of its referrers.
pub(crate) fn of(port: u16) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    for repository in names(port, "/v2/_catalog?n=1000", "repositories") {
        state.insert(repository.clone(), String::new());
        for tag in names(port, &format!("/v2/{repository}/tags/list?n=1000"), "tags") {
            let answer = ask(port, "HEAD", &format!("/v2/{repository}/manifests/{tag}"), ACCEPT);
            let digest = answer.header("docker-content-digest").unwrap_or("?").to_owned();
            let referrers = ask(port, "GET", &format!("/v2/{repository}/referrers/{digest}"), "*/*");
            let mut found = Vec::new();
            if referrers.status == 200 {
                let index: serde_json::Value = serde_json::from_slice(&referrers.body).unwrap_or_default();
                found = index["manifests"]
                    .as_array()
                    .map(|list| list.iter().map(|entry| entry.to_string()).collect())
                    .unwrap_or_default();
                found.sort();
            }
            // The entries of a referrers list are in the order in which they were written, so they are
            // sorted.
            let digest = if tag.starts_with("sha256-") { entries(port, &repository, &tag) } else { digest };
            state.insert(format!("{repository}:{tag}"), format!("{digest} {}", found.join(" ")));
        }
    }
    state
}

/// Returns the sorted entries of an index.
fn entries(port: u16, repository: &str, tag: &str) -> String {
    let answer = ask(port, "GET", &format!("/v2/{repository}/manifests/{tag}"), ACCEPT);
    let index: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let list = index["manifests"].as_array().cloned().unwrap_or_default();
    let mut entries: Vec<_> = list.iter().map(ToString::to_string).collect();
    entries.sort();
    entries.join(" ")
}

fn names(port: u16, target: &str, field: &str) -> Vec<String> {
    let answer = ask(port, "GET", target, "*/*");
    let list: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let name = |value: &serde_json::Value| value.as_str().map(ToOwned::to_owned);
    list[field].as_array().map(|names| names.iter().filter_map(name).collect()).unwrap_or_default()
}
