//! Flags for the connection to a registry.

use super::flags::{self, list, switch, text};
use super::network::NetworkArgs;

flags::flags! {
    /// The address, certificates and credentials of a registry.
    struct ConnectionArgs {
        ca_file: Option<String> = text("PATH", "Trust the certificate authorities in this PEM file"),
        cert_file: Option<String> = text("PATH", "Client certificate (PEM)"),
        key_file: Option<String> = text("PATH", "Key of the client certificate (PEM)"),
        insecure: bool = switch("Do not verify the registry's TLS certificate"),
        plain_http: Option<bool> = switch("Use HTTP without TLS [default for localhost]"),
        username: Option<String> = text("NAME", "User name").short('u'),
        password: Option<String> =
            text("PASSWORD", "Password, or identity token without a user name").short('p'),
        identity_token: Option<String> = text("TOKEN", "Identity token"),
        registry_config: Vec<String> = list("PATH", "Read credentials from this file"),
        header: Vec<String> = list("HEADER", "Send this header, \"Name: value\", to the registry").short('H'),
        password_stdin: Option<bool> = switch("Read the password from standard input"),
        identity_token_stdin: Option<bool> = switch("Read the identity token from standard input"),
        resolve: Vec<String> =
            list("HOST:PORT:ADDRESS[:PORT]", "Connect to this address for that host and port"),
    }
}

flags::flags! {
    /// All flags for the connection to a registry.
    struct RegistryArgs {
        #[registry] connection: ConnectionArgs,
        #[flatten] network: NetworkArgs,
        distribution_spec: Option<String>,
    }
}
