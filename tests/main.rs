//! The end-to-end tests: both servers as they are shipped, over HTTP and Socket.IO, a database each.

mod auth;
mod candidates;
mod checkpoints;
mod companies;
mod conversations;
mod documents;
mod freelances;
mod health;
mod job_postings;
mod messages;
mod oidc;
mod projects;
mod readme;
mod schema;
mod seed;
mod skills;
mod upload;
mod users;
