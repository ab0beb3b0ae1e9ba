//! Ctrl-C, which ends a command with an error.

/// Completes on Ctrl-C. Never completes for `serve`, which handles the signal itself and finishes its open requests.
pub(crate) async fn received(name: &str) {
    if name == "serve" {
        std::future::pending::<()>().await;
    }
    drop(tokio::signal::ctrl_c().await);
}
