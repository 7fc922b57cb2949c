//! Loading many rows at once: secondary indexes are made after the rows, and foreign keys, which the generator keeps by
//! construction, are not checked row by row. Other triggers run, since what they write is part of the data, but for those
//! of the searches.

use sqlx::{AssertSqlSafe, PgConnection, Row};

/// What was taken away from the tables, to be put back.
pub struct Suspended {
    indexes: Vec<String>,
    primary_keys: Vec<String>,
    tables: Vec<String>,
}

/// Takes away what slows the load of `tables` down.
pub async fn suspend(connection: &mut PgConnection, tables: &[&str]) -> Result<Suspended, sqlx::Error> {
    let tables: Vec<String> = tables.iter().map(|table| (*table).to_owned()).collect();
    let rows = sqlx::query(
        "SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition
         FROM pg_index JOIN pg_class t ON t.oid = indrelid
         WHERE t.relnamespace = current_schema()::regnamespace AND t.relname = ANY($1) AND NOT indisprimary
           AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = indexrelid)",
    )
    .bind(&tables)
    .fetch_all(&mut *connection)
    .await?;
    let mut indexes = Vec::new();
    for row in rows {
        let name: String = row.get("name");
        indexes.push(row.get("definition"));
        run(connection, format!("DROP INDEX {name}")).await?;
    }
    // Only of tables that nothing refers to: the join tables.
    let rows = sqlx::query(
        "SELECT t.oid::regclass::text AS relation, quote_ident(k.conname) AS name, pg_get_constraintdef(k.oid) AS definition
         FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid
         WHERE t.relnamespace = current_schema()::regnamespace AND t.relname = ANY($1) AND k.contype = 'p'
           AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.confrelid = t.oid)",
    )
    .bind(&tables)
    .fetch_all(&mut *connection)
    .await?;
    let mut primary_keys = Vec::new();
    for row in rows {
        let (relation, name, definition): (String, String, String) =
            (row.get("relation"), row.get("name"), row.get("definition"));
        primary_keys.push(format!("ALTER TABLE {relation} ADD CONSTRAINT {name} {definition}"));
        run(connection, format!("ALTER TABLE {relation} DROP CONSTRAINT {name}")).await?;
    }
    switch_foreign_keys(connection, &tables, "DISABLE").await?;
    Ok(Suspended { indexes, primary_keys, tables })
}

impl Suspended {
    /// Makes the indexes, and checks foreign keys again from now on.
    pub async fn restore(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        for statement in self.primary_keys.into_iter().chain(self.indexes) {
            run(connection, statement).await?;
        }
        switch_foreign_keys(connection, &self.tables, "ENABLE").await
    }
}

async fn switch_foreign_keys(connection: &mut PgConnection, tables: &[String], how: &str) -> Result<(), sqlx::Error> {
    let triggers = sqlx::query(
        "SELECT t.oid::regclass::text AS relation, quote_ident(g.tgname) AS name
         FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid
         WHERE t.relnamespace = current_schema()::regnamespace AND t.relname = ANY($1) AND g.tgisinternal",
    )
    .bind(tables)
    .fetch_all(&mut *connection)
    .await?;
    for trigger in triggers {
        let (relation, name): (String, String) = (trigger.get("relation"), trigger.get("name"));
        run(connection, format!("ALTER TABLE {relation} {how} TRIGGER {name}")).await?;
    }
    Ok(())
}

/// Statements about names that the catalogue itself has quoted.
async fn run(connection: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}
