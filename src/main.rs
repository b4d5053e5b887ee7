//! Arguments → configuration → build → run → exit code.

fn main() {}
