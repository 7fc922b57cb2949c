//! The tests' harness: [`TestApp::run`] boots both servers by the same code as their `main`, on free ports, over a
//! database of its own, beside stand-ins for Authentik, Stripe and S3. Personas act over HTTP as clients do.

#![expect(clippy::unwrap_used, reason = "a poisoned lock has failed its test already")]

mod answer;
mod app;
mod chat;
mod chat_server;
mod facts;
pub mod logs;
mod node;
mod persona;
mod redis;
mod replica;
mod wait;

pub use answer::Answer;
pub use app::{TestApp, TestOptions, empty_database};
pub use chat::{ChatClient, Refused};
pub use chat_server::ChatServer;
pub use node::node_packages;
pub use persona::Persona;
pub use redis::RedisServer;
pub use replica::{Replica, Serving, serve_chat_replica, serve_replica};
pub use wait::eventually;

/// The secrets and addresses the tests' servers are configured with.
pub mod settings {
    pub const WEBHOOK_SECRET: &str = "whsec_endToEndTestsOnly0123456789";
    pub const STRIPE_KEY: &str = "sk_test_endToEndTestsOnly0123456789";
    pub const S3_ACCESS_KEY: &str = "end-to-end-access";
    pub const S3_SECRET_KEY: &str = "end-to-end-secret-key";
    pub const FRONTEND: &str = "http://localhost:5173";
    pub const ADMIN_TOKEN: &str = "sandbox-authentik-admin-token";
    pub const PASSWORD: &str = "Correct-Horse-1";
}
