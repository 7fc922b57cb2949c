//! The whole database as one value, to show that something changed nothing.

use std::collections::BTreeMap;

use sqlx::PgPool;

/// What requests may change without having an effect: when a session was last confirmed, and how often somebody tried.
const BOOKKEEPING: [&str; 5] = ["session", "socket_ticket", "oidc_login", "job", "_sqlx_migrations"];

/// A hash of each table's rows.
pub async fn fingerprint(pool: &PgPool) -> BTreeMap<String, String> {
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'")
            .fetch_all(pool)
            .await
            .expect("the tables can be listed");
    let of_table = |table: &String| {
        format!(r#"SELECT '{table}', md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM "{table}" t"#)
    };
    let statements: Vec<String> =
        tables.iter().filter(|table| !BOOKKEEPING.contains(&table.as_str())).map(of_table).collect();
    let statement = sqlx::AssertSqlSafe(statements.join(" UNION ALL "));
    let rows: Vec<(String, String)> =
        sqlx::query_as(statement).fetch_all(pool).await.expect("the tables can be hashed");
    rows.into_iter().collect()
}

/// The tables whose rows differ.
pub fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    after.iter().filter(|(table, hash)| before.get(*table) != Some(hash)).map(|(table, _)| table.clone()).collect()
}
