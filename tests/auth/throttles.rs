//! What costs a call to Authentik or a row without any credential is bounded.

use std::time::Duration;

use freehunt_domain::{sessions::sweep_expired, users::Role};
use freehunt_sandbox::stand_in::Misbehaviour;
use freehunt_tests::{Answer, Persona, TestApp, TestOptions, eventually};
use http::Method;

use super::{count, who_is_calls, with_cookie};

async fn me_from(persona: &Persona, address: &str) -> Answer {
    let request = persona.request(Method::GET, "/auth/getme").header("x-forwarded-for", address);
    persona.answer(request).await
}

fn made_up(app: &TestApp, number: usize) -> Persona {
    with_cookie(&app.anonymous(), &format!("authentik_session=made-up-{number}"))
}

/// Fault case 2, for ever new cookies: an address makes a bounded number of calls, and keeps nobody else out.
#[tokio::test]
async fn made_up_cookies_of_one_address_are_asked_about_a_few_times() {
    let options = TestOptions::default()
        .with("TRUSTED_PROXY_HOPS", "1")
        .with("SESSION_ADOPTION_LIMIT_BURST", "3")
        .with("SESSION_ADOPTION_LIMIT_PER_MINUTE", "1");
    TestApp::run_with(options, async |app| {
        let alice = app.original_user("alice", Role::Freelance).await;
        me_from(&alice, "192.0.2.1").await.expect(200);
        let mut statuses = Vec::new();
        for number in 0..20 {
            let answer = me_from(&made_up(app, number), "192.0.2.1").await;
            assert_eq!(answer.status == 429, answer.headers.contains_key("retry-after"));
            statuses.push(answer.status);
        }
        assert_eq!(statuses[..2], [401, 401], "alice's own cookie was the first of three");
        assert!(statuses[2..].iter().all(|status| *status == 429), "{statuses:?}");
        assert_eq!(who_is_calls(app), 3);
        // Who is known is not counted, and other addresses have limits of their own.
        for _ in 0..10 {
            me_from(&alice, "192.0.2.1").await.expect(200);
        }
        me_from(&made_up(app, 99), "192.0.2.2").await.expect(401);
        assert_eq!(who_is_calls(app), 4);
    })
    .await;
}

/// Whoever makes up cookies at many addresses has only so many questions under way.
#[tokio::test]
async fn made_up_cookies_do_not_keep_authentik_busy() {
    let options = TestOptions::default().with("TRUSTED_PROXY_HOPS", "1").with("AUTHENTIK_TIMEOUT_MS", "6000");
    TestApp::run_with(options, async |app| {
        let me = "/api/v3/core/users/me/";
        app.authentik.controls().misbehave(me, usize::MAX, Misbehaviour::Slow(Duration::from_secs(2)));
        let flood =
            (0..30).map(async |number| me_from(&made_up(app, number), &format!("198.51.100.{number}")).await.status);
        let watch = async {
            eventually("questions are under way", async || who_is_calls(app) >= 16).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            who_is_calls(app)
        };
        let (statuses, at_once) = tokio::join!(futures_util::future::join_all(flood), watch);
        assert_eq!(at_once, 16);
        assert_eq!(statuses, [401; 30]);
        assert_eq!(who_is_calls(app), 30, "each had its turn");
    })
    .await;
}

#[tokio::test]
async fn logins_that_are_only_begun_are_limited_and_swept() {
    let options = TestOptions::default()
        .with("TRUSTED_PROXY_HOPS", "1")
        .with("OIDC_LOGIN_LIMIT_BURST", "3")
        .with("OIDC_LOGIN_LIMIT_PER_MINUTE", "1");
    TestApp::run_with(options, async |app| {
        let begin = async |address: &str| {
            let request = app.anonymous().request(Method::GET, "/auth/oidc/login").header("x-forwarded-for", address);
            app.anonymous().answer(request).await
        };
        let mut statuses = Vec::new();
        for _ in 0..10 {
            statuses.push(begin("192.0.2.1").await.status);
        }
        assert_eq!(statuses[..3], [303; 3]);
        assert!(statuses[3..].iter().all(|status| *status == 429), "{statuses:?}");
        assert!(begin("192.0.2.1").await.headers.contains_key("retry-after"));
        assert_eq!(begin("192.0.2.2").await.status, 303);
        let rows = "SELECT count(*) FROM oidc_login";
        assert_eq!(count(app, rows).await, 4);
        sqlx::query("UPDATE oidc_login SET expires_at = now()").execute(&app.pool).await.unwrap();
        let mut connection = app.pool.acquire().await.unwrap();
        assert_eq!(sweep_expired(&mut connection).await.unwrap(), 4);
        assert_eq!(count(app, rows).await, 0);
    })
    .await;
}
