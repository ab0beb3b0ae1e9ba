//! Logins and stored credentials.

use crate::error_case::{Case, Theme};
use crate::scene::Scene;

pub(crate) fn cases() -> Vec<Case> {
    let case = |title, line, remedy, prepare| Case::new(Theme::Credentials, title, line, remedy, prepare);
    vec![
        case(
            "Malformed credential file",
            "oras pull {R}/hello:v1",
            "The file is shared with `docker`, `podman` and other tools. An editor or another tool has damaged it.",
            |scene| {
                scene.docker_config("{\"auths\": ");
                Scene::registry(scene)
            },
        ),
        case(
            "The credential helper is not installed",
            "oras login -u user -p secret {R}",
            "The configuration names a program that stores passwords, for example that of Docker Desktop.",
            |scene| {
                scene.docker_config("{\"credsStore\":\"desktop\"}");
                Scene::registry(scene)
            },
        ),
        case(
            "The credential helper fails",
            "oras pull {R}/hello:v1",
            "Run the helper alone, as the hint shows: it prints more than `oras` may show.",
            |scene| {
                scene.program("docker-credential-broken", "echo 'the keychain is locked'; exit 1");
                scene.docker_config("{\"credsStore\":\"broken\"}");
                scene.scripted(|_| {
                    oras_testkit::scripted::Reply::new(401).header("WWW-Authenticate", "Basic realm=\"x\"")
                })
            },
        ),
        case(
            "No password on standard input",
            "oras login -u user {R}",
            "In a script there is nobody to type the password.",
            Scene::registry,
        ),
        case(
            "No token on standard input",
            "oras login {R}",
            "Without a user name, `oras login` asks for a token.",
            Scene::registry,
        ),
        case(
            "No stored login",
            "oras login --check registry.example",
            "`oras login --check` shows which credential a command would use.",
            |_| Some(()),
        ),
    ]
}
