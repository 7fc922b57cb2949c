//! The sanitiser against a corpus that the tests make themselves; nothing binary is checked in.

mod corpus;
mod hostile;
mod pictures;

pub(crate) use corpus::png;
