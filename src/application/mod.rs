//! Application: the use cases behind the RPCs, the ports they need, and the worker that carries
//! offboardings forward.

pub mod clock;
pub mod error;
pub mod log;
pub mod page;
pub mod service;
pub mod store;
pub mod upstream;
pub mod use_cases;
pub mod watch;
pub mod witness;
pub mod worker;
