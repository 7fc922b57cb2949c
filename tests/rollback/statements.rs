use freehunt_domain::schema;
use freehunt_tests::empty_database;
use serde_json::Value;
use sqlx::{
    AssertSqlSafe, Column, Connection, Either, Executor, PgConnection, SqlSafeStr, Statement, TypeInfo,
    migrate::Migrator,
};

use super::folder;

/// The older version's `.sqlx` holds each of its statements.
fn statements() -> Vec<String> {
    let files = std::fs::read_dir(folder("FREEHUNT_OLD_SOURCE").join(".sqlx")).expect("the older version's statements");
    let text = |file: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(file.expect("a file").path());
    let parsed = files.map(|file| serde_json::from_str::<Value>(&text(file).expect("a text")).expect("JSON"));
    parsed.map(|file| file["query"].as_str().expect("a statement").to_owned()).collect()
}

/// The types of its parameters, and its columns with theirs.
async fn described(connection: &mut PgConnection, statement: &str) -> Result<String, String> {
    let prepared =
        connection.prepare(AssertSqlSafe(statement).into_sql_str()).await.map_err(|error| error.to_string())?;
    let columns = prepared.columns().iter().map(|column| format!("{}: {}", column.name(), column.type_info().name()));
    let Some(Either::Left(parameters)) = prepared.parameters() else { panic!("PostgreSQL knows the types") };
    let parameters = parameters.iter().map(|parameter| parameter.name());
    Ok(format!("({}) -> {}", parameters.collect::<Vec<_>>().join(", "), columns.collect::<Vec<_>>().join(", ")))
}

/// Fault case 147.
#[tokio::test]
#[ignore = "needs the source of an older version: tests/rollback/run"]
async fn every_older_statement_means_the_same_on_todays_schema() {
    let (then, now) = (empty_database().await, empty_database().await);
    let mut connections = [
        PgConnection::connect_with(&then.options).await.unwrap(),
        PgConnection::connect_with(&now.options).await.unwrap(),
    ];
    let older = Migrator::new(folder("FREEHUNT_OLD_SOURCE").join("migrations")).await.unwrap();
    older.run_direct(None, &mut connections[0], false).await.unwrap();
    schema::migrate(&mut connections[1]).await.unwrap();
    let mut differing = Vec::new();
    let statements = statements();
    for statement in &statements {
        let [then, now] = &mut connections;
        let (then, now) = (described(then, statement).await, described(now, statement).await);
        assert!(then.is_ok(), "{statement}: {then:?}");
        if then != now {
            differing.push(format!("{statement}\n  then {then:?}\n  now {now:?}"));
        }
    }
    for connection in connections {
        connection.close().await.unwrap();
    }
    then.drop_now().await.unwrap();
    now.drop_now().await.unwrap();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    println!("{} statements of the older version mean the same", statements.len());
}
