//! The searches below HTTP: that their tables follow every write, that they find what a naive search finds, and that
//! they never read a large table.

mod large;
mod model;
mod steps;

use freehunt_domain::{ids::UserId, schema};
use freehunt_sandbox::postgres::TestDatabase;
use freehunt_tests::empty_database;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

/// A migrated database, without servers.
async fn with_database(test: impl AsyncFnOnce(&TestDatabase, &mut PgConnection)) {
    let database = empty_database().await;
    let mut connection = PgConnection::connect_with(&database.options).await.unwrap();
    schema::migrate(&mut connection).await.unwrap();
    test(&database, &mut connection).await;
    connection.close().await.unwrap();
    database.drop_now().await.unwrap();
}

async fn run(connection: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// The ids of the rows that a statement selects or returns.
async fn ids(connection: &mut PgConnection, sql: &'static str) -> Vec<Uuid> {
    sqlx::query_scalar(sql).fetch_all(connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// The freelance with the most skills.
async fn seeker(connection: &mut PgConnection) -> UserId {
    let sql = r#"SELECT f."userId" FROM "Freelance" f JOIN "_FreelanceToSkill" l ON l."A" = f."id"
                 GROUP BY f."id" ORDER BY count(*) DESC, f."id" LIMIT 1"#;
    UserId(ids(connection, sql).await[0])
}
