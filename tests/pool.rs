//! The pool of single statements: what a request leaves behind does not reach the next one.

use std::time::Duration;

use freehunt_domain::database::Connections;
use freehunt_sandbox::postgres::TestDatabase;
use freehunt_tests::{empty_database, eventually};
use futures_util::FutureExt;
use sqlx::{Connection, PgConnection};

const PATIENCE: Duration = Duration::from_millis(500);

/// A pool of one connection, and one beside it.
async fn with_one_connection(test: impl AsyncFnOnce(&Connections, &mut PgConnection)) {
    let database: TestDatabase = empty_database().await;
    let mut beside = PgConnection::connect(&database.url()).await.unwrap();
    let connections = Connections::new(database.url().parse().unwrap(), 1, PATIENCE).unwrap();
    test(&connections, &mut beside).await;
    connections.close();
    beside.close().await.unwrap();
    database.drop_now().await.unwrap();
}

async fn pid_of(connections: &Connections) -> Result<i32, sqlx::Error> {
    let mut connection = connections.acquire().await?;
    let pid = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *connection).await?;
    connection.finish();
    Ok(pid)
}

#[tokio::test]
async fn a_statement_that_nobody_waited_for_answers_nobody_else() {
    with_one_connection(async |connections, _| {
        let pid = pid_of(connections).await.unwrap();
        let mut connection = connections.acquire().await.unwrap();
        let slow = sqlx::query_scalar::<_, i32>("SELECT 7 FROM pg_sleep(0.3)").fetch_one(&mut *connection);
        assert!(tokio::time::timeout(Duration::from_millis(50), slow).await.is_err(), "it was to be abandoned");
        drop(connection);
        assert_eq!(pid_of(connections).await.unwrap(), pid, "the same connection, with the answer to its own question");
    })
    .await;
}

#[tokio::test]
async fn a_transaction_that_was_left_is_rolled_back() {
    with_one_connection(async |connections, beside| {
        sqlx::raw_sql("CREATE TABLE left_over (id int)").execute(&mut *beside).await.unwrap();
        let mut connection = connections.acquire().await.unwrap();
        let mut transaction = connection.begin().await.unwrap();
        sqlx::raw_sql("INSERT INTO left_over VALUES (1)").execute(&mut *transaction).await.unwrap();
        drop(transaction);
        drop(connection);
        let lock = "SET lock_timeout = '20ms'; LOCK TABLE left_over IN ACCESS EXCLUSIVE MODE";
        eventually("its locks are gone", async || sqlx::raw_sql(lock).execute(&mut *beside).await.is_ok()).await;
        let mut connection = connections.acquire().await.unwrap();
        sqlx::raw_sql("INSERT INTO left_over VALUES (2)").execute(&mut *connection).await.unwrap();
        let rows: Vec<i32> = sqlx::query_scalar("SELECT id FROM left_over").fetch_all(beside).await.unwrap();
        assert_eq!(rows, [2]);
    })
    .await;
}

/// sqlx counts a transaction only once `BEGIN` was answered.
#[tokio::test]
async fn a_transaction_that_was_left_before_it_began_is_rolled_back_too() {
    with_one_connection(async |connections, beside| {
        sqlx::raw_sql("CREATE TABLE begun (id int)").execute(&mut *beside).await.unwrap();
        let mut connection = connections.acquire().await.unwrap();
        // Sent, and not waited for: on a busy machine the answer may be there, and then it is a transaction that was left.
        drop(connection.begin().now_or_never());
        drop(connection);
        let mut connection = connections.acquire().await.unwrap();
        sqlx::raw_sql("INSERT INTO begun VALUES (1)").execute(&mut *connection).await.unwrap();
        let rows: Vec<i32> = sqlx::query_scalar("SELECT id FROM begun").fetch_all(beside).await.unwrap();
        assert_eq!(rows, [1], "committed, not a part of what the one before began");
    })
    .await;
}

/// The same with sqlx's pool.
#[tokio::test]
async fn a_pool_for_transactions_ends_what_was_left_before_it_began() {
    let database = empty_database().await;
    let pool = freehunt_domain::database::pool(database.url().parse().unwrap(), 1, PATIENCE * 4);
    sqlx::raw_sql("CREATE TABLE begun (id int)").execute(&pool).await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    drop(connection.begin().now_or_never());
    drop(connection);
    sqlx::raw_sql("INSERT INTO begun VALUES (1)").execute(&pool).await.unwrap();
    let mut beside = PgConnection::connect(&database.url()).await.unwrap();
    let rows: Vec<i32> = sqlx::query_scalar("SELECT id FROM begun").fetch_all(&mut beside).await.unwrap();
    assert_eq!(rows, [1]);
    beside.close().await.unwrap();
    pool.close().await;
    database.drop_now().await.unwrap();
}

/// The database ended the connection.
#[tokio::test]
async fn a_broken_connection_is_replaced_also_while_it_is_asked_for_all_the_time() {
    with_one_connection(async |connections, beside| {
        let pid = pid_of(connections).await.unwrap();
        sqlx::query("SELECT pg_terminate_backend($1)").bind(pid).execute(beside).await.unwrap();
        eventually("there is another connection", async || pid_of(connections).await.is_ok_and(|other| other != pid))
            .await;
    })
    .await;
}

#[tokio::test]
async fn who_waits_too_long_for_a_connection_is_told_so() {
    with_one_connection(async |connections, _| {
        let _held = connections.acquire().await.unwrap();
        let refused = connections.acquire().await.err().expect("there is one connection");
        assert!(matches!(refused, sqlx::Error::PoolTimedOut), "{refused}");
        assert_eq!(connections.count().in_use, 1);
    })
    .await;
}
