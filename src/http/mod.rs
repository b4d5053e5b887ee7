//! The way upstream: a tower stack around `reqwest::Client`, with tokens and a limiter.
//!
//! ```text
//! deadline → retry (reads, token calls) → limiter → token → gate → trace → transport
//! ```
//!
//! The gate of a changing call is asked last, when the limiter's permit and the token are there:
//! after its "yes" nothing is waited for. A changing call passes through the stack at most once.

mod answer;
mod assertion;
mod authorize;
mod bucket;
mod deadline;
mod gate;
mod grant;
mod limit;
mod limiter;
mod outgoing;
mod retry;
mod retry_after;
mod stack;
mod token;
mod token_health;
mod trace;
mod transport;

pub use answer::{Answer, CallError};
pub use assertion::{AssertionAlgorithm, ClientCertificate};
pub use grant::{ClientProof, Credentials, Grant, SecretSource, TokenEndpoint};
pub use limiter::{Limits, Rates};
pub use outgoing::{Effect, Outgoing, TokenUse};
pub use retry_after::retry_after;
pub use stack::{Stack, StackError, StackSettings};
pub use token::{AccessToken, TokenSource};
pub use token_health::TokenHealth;
