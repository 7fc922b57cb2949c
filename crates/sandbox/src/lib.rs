//! All of FreeHunt on one machine: an embedded PostgreSQL, stand-ins for Authentik, S3 and Stripe that speak
//! the real protocols over HTTP, the API, the messaging server and demo data.
//!
//! The tests run on the same pieces. The production binaries never depend on this crate.

pub mod arguments;
pub mod authentik;
pub mod platform;
pub mod postgres;
pub mod s3;
pub mod stand_in;
mod story;
pub mod stripe;
