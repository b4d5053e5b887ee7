//! Arguments → configuration → build → run → exit code.

use std::process::ExitCode;

use relationship_service::cli::{self, Exit};

fn main() -> ExitCode {
    let arguments = cli::Arguments::read();
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(cli::run(arguments)).into(),
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            Exit::Failure.into()
        }
    }
}
