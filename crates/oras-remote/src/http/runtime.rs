//! Reports a missing or incomplete tokio runtime as an error.

use std::any::Any;
use std::panic::{AssertUnwindSafe, resume_unwind};

use futures::FutureExt;
use oras_store::{Error, ErrorKind, Result};
use tokio::runtime::Handle;

/// Runs `request`, which needs a tokio runtime.
///
/// # Errors
/// `Unsupported` without a runtime, and in a runtime whose timers or I/O are disabled.
pub(crate) async fn require_runtime<T, E>(request: impl Future<Output = Result<T, E>>) -> Result<T, E>
where
    E: From<Error>,
{
    let unsupported = |message| Err(Error::new(ErrorKind::Unsupported, message).into());
    if Handle::try_current().is_err() {
        return unsupported("a request to a registry needs a tokio runtime, and there is none");
    }
    // tokio has no function that tells whether timers and I/O are enabled. The first use panics. The unwinding is safe:
    // it drops the whole request, and the locks of this crate are not poisoned by a panic.
    match AssertUnwindSafe(request).catch_unwind().await {
        Ok(result) => result,
        Err(panic) if is_about_runtime(&*panic) => unsupported(
            "a request to a registry needs a tokio runtime with timers and I/O: build the runtime with `enable_all`",
        ),
        Err(panic) => resume_unwind(panic),
    }
}

/// Returns true for the panics of tokio about a disabled driver.
fn is_about_runtime(panic: &(dyn Any + Send)) -> bool {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    // A runtime that shuts down has another message, which ends differently.
    text.is_some_and(|text| {
        text.contains("Tokio 1.x context was found, but ") && text.contains(" disabled. Call ")
    })
}
