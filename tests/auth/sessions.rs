//! Sessions: how they are recognised, how they end, and that they end everywhere.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use freehunt_domain::{sessions::Token, time::Clock, users::Role};
use freehunt_sandbox::{authentik::NewUser, stand_in::Misbehaviour};
use freehunt_tests::{TestApp, TestOptions, eventually};
use http::Method;
use serde_json::json;

use super::{Replica, age_confirmations, count, signed_in, who_is_calls, with_cookie};

/// The APIs' connections that listen already.
const LISTENERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND application_name LIKE 'freehunt-api%' AND query ~* '^listen|pg_notify'";
/// Ends them.
pub const LISTENERS_ENDED: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'freehunt-api%'";

/// Fault case 1.
#[tokio::test]
async fn without_a_cookie_nobody_is_asked() {
    TestApp::run(async |app| {
        let anonymous = app.anonymous();
        let me = anonymous.get("/auth/getme").await;
        assert_eq!(me.body, json!({ "message": "Unauthorized access", "error": "Unauthorized", "statusCode": 401 }));
        me.expect(401);
        let users = anonymous.get("/users").await;
        assert_eq!(users.message(), "Cookie de session Authentik non trouvé");
        users.expect(401);
        with_cookie(&anonymous, "authentik_session=").get("/auth/getme").await.expect(401);
        assert!(app.authentik.controls().calls().is_empty());
    })
    .await;
}

/// Fault case 2.
#[tokio::test]
async fn made_up_cookies_are_asked_about_once() {
    TestApp::run(async |app| {
        let nobody = with_cookie(&app.anonymous(), "authentik_session=made-up");
        for _ in 0..5 {
            nobody.get("/auth/getme").await.expect(401);
        }
        assert_eq!(who_is_calls(app), 1);
        let token = Token::random().unwrap();
        for cookie in [format!("freehunt_session={}", token.as_str()), "freehunt_session=made-up".to_owned()] {
            with_cookie(&app.anonymous(), &cookie).get("/auth/getme").await.expect(401);
        }
        assert_eq!(who_is_calls(app), 1);
    })
    .await;
}

/// Fault case 3.
#[tokio::test]
async fn authentik_sees_exactly_one_cookie() {
    TestApp::run(async |app| {
        for cookie in ["a=1; authentik_session=x%3B%20authentik_proxy=1; b=2", "authentik_session=a%0d%0ab"] {
            with_cookie(&app.anonymous(), cookie).get("/auth/getme").await.expect(401);
        }
        let calls = app.authentik.controls().calls_to(Method::GET, "/api/v3/core/users/me/");
        let sent: Vec<_> = calls.iter().map(|call| call.headers["cookie"].to_str().unwrap()).collect();
        assert_eq!(sent, ["authentik_session=x%3B%20authentik_proxy=1", "authentik_session=a%0d%0ab"]);
        assert!(calls.iter().all(|call| call.headers.get_all("cookie").iter().count() == 1));
    })
    .await;
}

/// Fault case 4.
#[tokio::test]
async fn several_or_huge_cookies_are_refused() {
    TestApp::run(async |app| {
        let alice = app.original_user("alice", Role::Freelance).await;
        let twice = format!("{}; authentik_session=other", alice.cookie);
        with_cookie(&alice, &twice).get("/auth/getme").await.expect(401);
        with_cookie(&alice, &format!("{}; {}", alice.cookie, alice.cookie)).get("/auth/getme").await.expect(401);
        let huge = format!("authentik_session={}", "x".repeat(8 * 1024));
        with_cookie(&alice, &huge).get("/auth/getme").await.expect(401);
        let many: Vec<String> = (0..200).map(|number| format!("c{number}=x")).collect();
        with_cookie(&alice, &many.join("; ")).get("/auth/getme").await.expect(401);
        assert!(app.authentik.controls().calls().is_empty());
        alice.get("/auth/getme").await.expect(200);
    })
    .await;
}

/// Fault case 5.
#[tokio::test]
async fn an_unknown_account_with_a_known_address_is_refused_and_noted() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let thief = NewUser {
            username: "thief".to_owned(),
            email: alice.email.clone(),
            password: "Thief-Password-1".to_owned(),
            skip_rules: true,
            ..NewUser::default()
        };
        app.authentik.add_user(thief).unwrap();
        let cookie = format!("authentik_session={}", app.authentik.session_for("thief"));
        with_cookie(&app.anonymous(), &cookie).get("/auth/getme").await.expect(401);
        let noted: (String, String) =
            sqlx::query_as(r#"SELECT subject_id, details->>'reason' FROM "Log" WHERE "action" = 'log_in_refused'"#)
                .fetch_one(&app.pool)
                .await
                .unwrap();
        assert_eq!(noted, (alice.user_id.to_string(), "address_of_another_user".to_owned()));
    })
    .await;
}

/// The users of the original are not logged out by the switch, and cost Authentik one question.
#[tokio::test]
async fn a_cookie_of_the_original_is_a_session() {
    TestApp::run(async |app| {
        let alice = app.original_user("alice", Role::Freelance).await;
        let answers = futures_util::future::join_all((0..8).map(|_| alice.get("/auth/getme"))).await;
        for answer in answers {
            let ticket = answer.set_cookies();
            assert!(ticket.len() == 1 && ticket[0].starts_with("freehunt_socket="), "{ticket:?}");
            assert_eq!(answer.expect(200)["id"], json!(alice.user_id));
        }
        let before = who_is_calls(app);
        assert!(before <= 8);
        for _ in 0..5 {
            alice.get("/auth/getme").await.expect(200);
        }
        assert_eq!(who_is_calls(app), before);
        assert_eq!(count(app, "SELECT count(*) FROM session WHERE origin = 'authentik'").await, 1);
    })
    .await;
}

/// The ticket of getme opens what the messaging server looks for, and stays the same.
#[tokio::test]
async fn the_socket_ticket_belongs_to_the_session() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let alice = signed_in(app, &alice).await;
        let ticket = async || {
            let cookies = alice.get("/auth/getme").await.set_cookies();
            cookies[0].trim_start_matches("freehunt_socket=").split(';').next().unwrap().to_owned()
        };
        let text = ticket().await;
        assert_eq!(ticket().await, text);
        let hash = Token::parse(&text).unwrap().hash();
        let mut connection = app.pool.acquire().await.unwrap();
        let find = freehunt_domain::sessions::queries::find_session_by_ticket;
        assert_eq!(find(&mut connection, &hash).await.unwrap().unwrap().user_id, alice.user_id);
        with_cookie(&alice, &format!("freehunt_session={text}")).get("/auth/getme").await.expect(401);
        alice.post("/auth/logout", json!({})).await.expect(201);
        assert!(find(&mut connection, &hash).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_checked_session_costs_authentik_nothing() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let alice = signed_in(app, &alice).await;
        app.authentik.controls().forget_calls();
        for _ in 0..20 {
            alice.get("/auth/getme").await.expect(200);
        }
        assert!(app.authentik.controls().calls().is_empty());
    })
    .await;
}

/// Fault case 12.
#[tokio::test]
async fn a_logout_ends_the_session_on_every_replica_at_once() {
    TestApp::run(async |app| {
        let second = Replica::start(app, Clock::system()).await;
        let alice = signed_in(app, &app.user("alice", Role::Freelance).await).await;
        let bob = app.original_user("bob", Role::Freelance).await;
        for persona in [&alice, &bob] {
            let there = app.at(persona, &second.url);
            // Twice, so that the second replica has it in memory and listens.
            there.get("/auth/getme").await.expect(200);
            persona.get("/auth/getme").await.expect(200);
            eventually("the second replica listens", async || {
                there.get("/auth/getme").await.expect(200);
                count(app, LISTENERS).await == 2
            })
            .await;
            there.get("/auth/getme").await.expect(200);
            let answer = persona.post("/auth/logout", json!({})).await;
            let cleared = answer.set_cookies();
            for name in ["freehunt_session=;", "freehunt_socket=;", "authentik_session=;"] {
                assert!(
                    cleared.iter().any(|cookie| cookie.starts_with(name) && cookie.contains("Max-Age=0")),
                    "{name}"
                );
            }
            assert_eq!(answer.text, "true");
            answer.expect(201);
            persona.get("/auth/getme").await.expect(401);
            let since = Instant::now();
            eventually("the other replica refuses", async || there.get("/auth/getme").await.status == 401).await;
            assert!(since.elapsed() < Duration::from_secs(1));
            assert_eq!(app.authentik.open_sessions(&persona.name), 0, "it has ended at Authentik too");
        }
        second.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_logout_without_a_session_is_fine() {
    TestApp::run(async |app| {
        for cookie in ["", "freehunt_session=x", "authentik_session=x; authentik_session=y"] {
            let answer = with_cookie(&app.anonymous(), cookie).post("/auth/logout", json!({})).await;
            assert_eq!(answer.text, "true");
            answer.expect(201);
        }
    })
    .await;
}

/// Fault case 12, with the notification lost: while a process does not hear of endings it trusts no entry.
#[tokio::test]
async fn an_ending_is_seen_although_the_connection_that_tells_of_it_is_lost() {
    TestApp::run(async |app| {
        let alice = signed_in(app, &app.user("alice", Role::Freelance).await).await;
        eventually("the server listens", async || {
            alice.get("/auth/getme").await.expect(200);
            count(app, LISTENERS).await == 1
        })
        .await;
        sqlx::query("UPDATE session SET revoked_at = now()").execute(&app.pool).await.unwrap();
        sqlx::query(LISTENERS_ENDED).execute(&app.pool).await.unwrap();
        eventually("the ending is seen", async || alice.get("/auth/getme").await.status == 401).await;
        eventually("the server listens again", async || count(app, LISTENERS).await == 1).await;
    })
    .await;
}

/// Fault case 13.
#[tokio::test]
async fn somebody_deactivated_at_authentik_is_out_within_a_minute() {
    TestApp::run(async |app| {
        let alice = signed_in(app, &app.user("alice", Role::Freelance).await).await;
        let bob = app.original_user("bob", Role::Freelance).await;
        for persona in [&alice, &bob] {
            persona.get("/auth/getme").await.expect(200);
            app.authentik.deactivate(&persona.name);
            age_confirmations(app, 1.1).await;
            eventually("the session ends", async || persona.get("/auth/getme").await.status == 401).await;
            app.authentik.reactivate(&persona.name);
            persona.get("/auth/getme").await.expect(401);
        }
    })
    .await;
}

/// A session that Authentik still confirms goes on, with one question a minute however many requests there are.
#[tokio::test]
async fn a_confirmed_session_goes_on() {
    TestApp::run(async |app| {
        let alice = signed_in(app, &app.user("alice", Role::Freelance).await).await;
        alice.get("/auth/getme").await.expect(200);
        app.authentik.controls().forget_calls();
        age_confirmations(app, 2.0).await;
        eventually("it is confirmed anew", async || {
            alice.get("/auth/getme").await.expect(200);
            who_is_calls(app) > 0
        })
        .await;
        alice.get("/auth/getme").await.expect(200);
        assert_eq!(who_is_calls(app), 1);
        assert_eq!(count(app, "SELECT count(*) FROM session WHERE upstream_secret IS NOT NULL AND validated_at > now() - interval '1 minute'").await, 1);
    })
    .await;
}

/// Fault case 25.
#[tokio::test]
async fn a_wrong_clock_changes_no_session() {
    TestApp::run(async |app| {
        let alice = signed_in(app, &app.user("alice", Role::Freelance).await).await;
        for minutes in [-10, 10] {
            let clock = Clock::standing_at(Clock::system().now() + TimeDelta::minutes(minutes));
            let replica = Replica::start(app, clock).await;
            app.at(&alice, &replica.url).get("/auth/getme").await.expect(200);
            replica.stop().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_expired_session_is_over_and_swept_a_week_later() {
    TestApp::run(async |app| {
        let alice = signed_in(app, &app.user("alice", Role::Freelance).await).await;
        sqlx::query("UPDATE session SET expires_at = now()").execute(&app.pool).await.unwrap();
        alice.get("/auth/getme").await.expect(401);
        let mut connection = app.pool.acquire().await.unwrap();
        let sweep = freehunt_domain::sessions::sweep_expired;
        assert_eq!(sweep(&mut connection).await.unwrap(), 0);
        sqlx::query("UPDATE session SET expires_at = now() - interval '8 days'").execute(&app.pool).await.unwrap();
        assert_eq!(sweep(&mut connection).await.unwrap(), 2);
        assert_eq!(count(app, "SELECT count(*) FROM socket_ticket").await, 0);
    })
    .await;
}

/// What the database holds opens nothing.
#[tokio::test]
async fn no_secret_is_stored() {
    TestApp::run_with(TestOptions::default(), async |app| {
        let alice = signed_in(app, &app.user("alice", Role::Freelance).await).await;
        let token = alice.cookie.trim_start_matches("freehunt_session=");
        let stored: Vec<String> = sqlx::query_scalar(
            r#"SELECT row_to_json(s)::text FROM session s UNION ALL SELECT row_to_json(t)::text FROM socket_ticket t
               UNION ALL SELECT row_to_json(l)::text FROM "Log" l"#,
        )
        .fetch_all(&app.pool)
        .await
        .unwrap();
        let upstream = app.authentik.controls().calls_to(Method::GET, "/api/v3/core/users/me/");
        let upstream = upstream.last().unwrap().headers["cookie"].to_str().unwrap().to_owned();
        let upstream = upstream.trim_start_matches("authentik_session=");
        for row in &stored {
            for secret in [token, upstream, &hex::encode(token), &hex::encode(upstream), alice.email.as_str()] {
                assert!(!row.contains(secret), "{row}");
            }
        }
        assert!(stored.len() >= 4);
    })
    .await;
}

/// A cookie that was logged out stays refused in every spelling that Authentik takes, and when Authentik has issued another
/// one for the same session: also where Authentik could not be told that it is over.
#[tokio::test]
async fn a_revoked_cookie_is_refused_however_it_is_written() {
    TestApp::run(async |app| {
        let alice = app.original_user("alice", Role::Freelance).await;
        alice.get("/auth/getme").await.expect(200);
        let cookie = alice.cookie.strip_prefix("authentik_session=").unwrap();
        let another = with_cookie(&alice, &format!("authentik_session={}", app.authentik.reissued_cookie(cookie)));
        another.get("/auth/getme").await.expect(200);
        let controls = app.authentik.controls();
        controls.misbehave("/api/v3/flows/executor/default-invalidation-flow/", usize::MAX, Misbehaviour::Reset);
        alice.post("/auth/logout", json!({})).await.expect(201);
        controls.recover();
        eventually("the session's other cookie is over too", async || another.get("/auth/getme").await.status == 401)
            .await;
        let (start, last) = cookie.split_at(cookie.len() - 1);
        // 32 bytes take 43 letters, of whose last one two bits are spare.
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let spare_bits = &letters[letters.find(last).unwrap() + 1..][..1];
        let spellings = [
            cookie.to_owned(),
            format!("{cookie}="),
            format!("{start}*{last}"),
            format!("{start}{spare_bits}"),
            app.authentik.reissued_cookie(cookie),
        ];
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for value in spellings {
            let spelled = with_cookie(&app.anonymous(), &format!("authentik_session={value}"));
            let me = client.get(format!("{}/api/v3/core/users/me/", app.authentik.url()));
            assert_eq!(
                me.header("cookie", &spelled.cookie).send().await.unwrap().status(),
                200,
                "Authentik takes {value}"
            );
            spelled.get("/auth/getme").await.expect(401);
        }
        let fresh = format!("authentik_session={}", app.authentik.session_for("alice"));
        with_cookie(&app.anonymous(), &fresh).get("/auth/getme").await.expect(200);
    })
    .await;
}
