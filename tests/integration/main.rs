//! The one integration binary: every test that needs a socket, a file or a process.

mod fixtures;
mod partner_center;
