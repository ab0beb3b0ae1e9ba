//! The binary `oras`.

fn main() -> std::process::ExitCode {
    oras_cli::main()
}
