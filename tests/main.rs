//! The end-to-end tests: both servers as they are shipped, over HTTP and Socket.IO, a database each.

mod health;
mod readme;
mod schema;
mod seed;
mod skills;
