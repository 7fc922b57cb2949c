//! The client against a scripted server: what it sends, and what it makes of each kind of answer.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod calls;
mod failures;
mod server;
