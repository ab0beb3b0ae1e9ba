//! Flags that locate an artifact in a registry or in an OCI layout.

use super::flags::{self, switch, text};
use super::registry::RegistryArgs;

flags::flags! {
    /// The OCI layout that holds an artifact.
    struct LayoutArgs {
        oci_layout: Option<bool> = switch(
            "The reference is <path>[:<tag>|@<digest>] of an OCI layout: a directory, a tar archive to read, or a bucket \
             (s3://, gs://, az://)",
        ),
        oci_layout_path: Option<String> =
            text("PATH", "The reference names something in the OCI layout at this path"),
    }
}

flags::flags! {
    /// The location of an artifact: a registry or an OCI layout.
    struct LocationArgs {
        #[flatten] registry: RegistryArgs,
        #[flatten] layout: LayoutArgs,
    }
}

impl LocationArgs {
    /// Makes the arguments of a reference into an OCI layout, for a command that has no flag for it.
    pub(crate) fn into_layout(mut self) -> Self {
        self.layout.oci_layout = Some(true);
        self
    }
}
