//! A registration whose server is killed with SIGKILL, at every step that leaves something behind: fault case 21.

use std::time::Duration;

use freehunt_sandbox::stand_in::Misbehaviour;
use freehunt_tests::{TestApp, eventually};
use http::Method;
use serde_json::{Value, json};
use sqlx::Acquire;

use super::replica::{Replicas, Schedule};
use crate::auth::{count, log_in};

/// Registrations that are killed at moments nobody chose.
const RANDOM_KILLS: usize = 8;
const PASSWORD: &str = "Registered-1";

fn form(name: &str) -> Value {
    json!({ "email": format!("{name}@example.org"), "username": name, "password": PASSWORD,
        "password_repeat": PASSWORD, "role": "FREELANCE" })
}

/// Sends the form to the replica; whatever comes of it, nobody is told.
async fn register_there(app: &TestApp, replicas: &Replicas, name: &str) {
    let persona = app.at(&app.anonymous(), replicas.any_url());
    let _cut_off = persona.request(Method::POST, "/auth/register").json(&form(name)).send().await;
}

async fn register_here(app: &TestApp, name: &str) -> Value {
    app.anonymous().post("/auth/register", form(name)).await.expect(201)
}

/// However it went: one user, bound to the one account, who can log in.
async fn is_whole(app: &TestApp, users: i64) {
    assert_eq!(count(app, r#"SELECT count(*) FROM "User""#).await, users);
    assert_eq!(count(app, "SELECT count(*) FROM identity").await, users);
    assert_eq!(count(app, "SELECT count(*) FROM pending_registration").await, 0);
    assert_eq!(i64::try_from(app.authentik.users().len()).unwrap(), users);
}

/// Killed while Authentik, which has made the account, is about to say so; the same registration completes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_case_21_killed_before_hearing_of_the_enrolment() {
    TestApp::run(async |app| {
        let replicas = Replicas::start(app, 1).await;
        replicas.is_serving(0).await;
        let slow = Misbehaviour::Slow(Duration::from_secs(2));
        app.authentik.controls().misbehave_on(Method::POST, "/api/v3/flows/executor/freehunt-enrollment/", 1, slow);
        let kill = async {
            eventually("the account is made", async || app.authentik.users().len() == 1).await;
            replicas.kill(0).await;
        };
        tokio::join!(register_there(app, &replicas, "acme"), kill);
        assert_eq!(count(app, "SELECT count(*) FROM pending_registration").await, 1);
        assert_eq!(register_here(app, "acme").await["success"], true);
        is_whole(app, 1).await;
    })
    .await;
}

/// Killed between Authentik's word and the user's row, and between that row and the session; a login completes both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_case_21_killed_before_and_after_the_users_row() {
    TestApp::run(async |app| {
        let replicas = Replicas::start(app, 1).await;
        for (number, (table, users)) in [(r#""User""#, 0), ("session", 2)].into_iter().enumerate() {
            let name = format!("user{number}");
            replicas.is_serving(0).await;
            let mut connection = app.pool.acquire().await.unwrap();
            let mut lock = connection.begin().await.unwrap();
            sqlx::query(sqlx::AssertSqlSafe(format!("LOCK TABLE {table} IN EXCLUSIVE MODE")))
                .execute(&mut *lock)
                .await
                .unwrap();
            let kill = async {
                let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                    AND wait_event_type = 'Lock' AND state = 'active' AND query ILIKE '%INSERT INTO%'";
                eventually("the row is about to be written", async || count(app, waiting).await == 1).await;
                replicas.kill(0).await;
            };
            tokio::join!(register_there(app, &replicas, &name), kill);
            lock.rollback().await.unwrap();
            drop(connection);
            // PostgreSQL notices by itself that nobody waits for the statement any more.
            eventually("the killed server's transaction is over", async || {
                let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                    AND xact_start IS NOT NULL AND query ILIKE '%INSERT INTO%' AND pid <> pg_backend_pid()";
                count(app, busy).await == 0
            })
            .await;
            assert_eq!(count(app, r#"SELECT count(*) FROM "User""#).await, users);
            assert_eq!(log_in(app, &name, PASSWORD).await.expect(201)["success"], true);
            is_whole(app, i64::try_from(number).unwrap() + 1).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_case_21_killed_at_any_moment() {
    TestApp::run(async |app| {
        let replicas = Replicas::start(app, 1).await;
        for number in 0..RANDOM_KILLS {
            replicas.is_serving(0).await;
            let name = format!("user{number}");
            let kill = async {
                tokio::time::sleep(Duration::from_millis(replicas.below(250))).await;
                replicas.kill(0).await;
            };
            tokio::join!(register_there(app, &replicas, &name), kill);
            // The user tries again, and is in: as a new user, or with the account that is there.
            let again = register_here(app, &name).await;
            if again["success"] != true {
                assert_eq!(log_in(app, &name, PASSWORD).await.expect(201)["success"], true, "{again}");
            }
            is_whole(app, i64::try_from(number).unwrap() + 1).await;
        }
    })
    .await;
}
