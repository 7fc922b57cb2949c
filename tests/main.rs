//! The end-to-end tests: both servers as they are shipped, over HTTP and Socket.IO, a database each.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers included")]

mod audience;
mod auth;
mod authorization;
mod candidates;
mod chat;
mod checkpoints;
mod companies;
mod configuration;
mod contract;
mod conversations;
mod database;
mod documents;
mod exploits;
mod freelances;
mod health;
mod job_postings;
mod jobs;
mod kills;
mod messages;
mod money;
mod money_operator;
mod oidc;
mod openapi;
mod operations;
mod payment_model;
mod payments;
mod payout_accounts;
mod projects;
mod readme;
mod refunds;
mod robustness;
mod schema;
mod seed;
mod skills;
mod statements;
mod stripe_types;
mod tampering;
mod transfers;
mod upload;
mod users;
mod webhooks;
mod world;
