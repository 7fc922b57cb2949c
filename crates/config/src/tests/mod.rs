//! Tests of whole configurations.

mod database;
mod loading;
mod table;

use std::collections::HashMap;

use crate::Source;

/// Every required setting with a valid value.
fn required() -> HashMap<String, String> {
    [
        ("DATABASE_URL", "postgresql://freehunt:database-canary@db:5432/freehunt?schema=public"),
        ("FRONTEND_URL", "https://freehunt.example"),
        ("AUTHENTIK_URL", "http://authentik-server:9000"),
        ("S3_URL", "https://s3.eu-west-3.amazonaws.com"),
        ("S3_ACCESS_KEY", "access-canary"),
        ("S3_SECRET_KEY", "secret-canary"),
        ("STRIPE_SECRET_KEY", "sk_test_canary"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_canary"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// The required settings and these; no secret files.
fn source_with(variables: &[(&str, &str)]) -> Source {
    let mut map = required();
    map.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Source::from_map(map, "/nonexistent")
}
