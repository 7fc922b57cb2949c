//! How often logins and registrations may be tried.

use freehunt_domain::users::Role;
use freehunt_tests::{Answer, Persona, TestApp, TestOptions, settings};
use http::Method;
use serde_json::json;

use super::{cookies_of, signed_in, with_cookie};

async fn try_from(persona: &Persona, address: &str, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password });
    let request = persona.request(Method::POST, "/auth/login").header("x-forwarded-for", address).json(&body);
    persona.answer(request).await
}

fn code(answer: Answer) -> String {
    let body = answer.expect(201);
    assert_eq!(body["success"], false);
    body["response"]["response_errors"]["non_field_errors"][0]["code"]
        .as_str()
        .expect("the refusal has a code")
        .to_owned()
}

/// Fault case 17.
#[tokio::test]
async fn an_account_is_limited_softly_and_a_known_browser_is_not_locked_out() {
    let options = TestOptions::default()
        .with("TRUSTED_PROXY_HOPS", "1")
        .with("LOGIN_LIMIT_ACCOUNT_BURST", "10")
        .with("LOGIN_LIMIT_ACCOUNT_PER_MINUTE", "10");
    TestApp::run_with(options, async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let browser = signed_in(app, &alice).await;
        let leaving = signed_in(app, &alice).await;
        let left = cookies_of(&leaving.post("/auth/logout", json!({})).await);
        let over = left.strip_prefix("freehunt_known=").expect("what the browser is known again by");
        with_cookie(&alice, &format!("freehunt_session={over}")).get("/auth/getme").await.expect(401);
        let mut codes = Vec::new();
        for host in 1..=20 {
            let identifier = if host % 2 == 0 { "alice" } else { "Alice@example.org" };
            codes.push(code(try_from(&app.anonymous(), &format!("192.0.2.{host}"), identifier, "wrong").await));
        }
        assert!(codes.iter().filter(|code| *code == "throttled").count() >= 8, "{codes:?}");
        assert_eq!(codes[19], "throttled");
        let mine = try_from(&browser, "198.51.100.1", "alice", settings::PASSWORD).await;
        assert_eq!(mine.expect(201)["success"], true);
        let left = with_cookie(&app.anonymous(), &left);
        let back_again = try_from(&left, "198.51.100.2", "alice", settings::PASSWORD).await;
        assert_eq!(back_again.expect(201)["success"], true, "a browser that logged out is known too");
        let nobody = app.authentik.controls();
        nobody.forget_calls();
        for host in 1..=20 {
            try_from(&app.anonymous(), &format!("203.0.113.{host}"), "unknown@example.org", "wrong").await.expect(201);
        }
        assert_eq!(code(try_from(&app.anonymous(), "203.0.113.99", "unknown@example.org", "x").await), "throttled");
    })
    .await;
}

/// Fault case 18.
#[tokio::test]
async fn an_address_is_limited_hard_whatever_it_claims() {
    let options = TestOptions::default()
        .with("TRUSTED_PROXY_HOPS", "1")
        .with("LOGIN_LIMIT_ADDRESS_BURST", "5")
        .with("LOGIN_LIMIT_ADDRESS_PER_MINUTE", "5");
    TestApp::run_with(options, async |app| {
        app.user("alice", Role::Freelance).await;
        let mut statuses = Vec::new();
        for number in 0..20 {
            let forged = format!("10.0.0.{number}, 192.0.2.1");
            let answer = try_from(&app.anonymous(), &forged, &format!("user{number}"), "wrong").await;
            if answer.status == 429 {
                assert!(answer.headers.contains_key("retry-after"));
            }
            statuses.push(answer.status);
        }
        assert_eq!(statuses[..5], [201; 5]);
        assert!(statuses[6..].iter().all(|status| *status == 429), "{statuses:?}");
        try_from(&app.anonymous(), "192.0.2.2", "alice", "wrong").await.expect(201);
        let alice = app.user("bob", Role::Freelance).await;
        for _ in 0..30 {
            let request = alice.request(Method::GET, "/auth/getme").header("x-forwarded-for", "192.0.2.1");
            alice.answer(request).await.expect(200);
        }
    })
    .await;
}

/// Fault case 20.
#[tokio::test]
async fn registrations_are_limited_by_address() {
    let options = TestOptions::default().with("REGISTRATION_LIMIT_BURST", "2").with("REGISTRATION_LIMIT_PER_HOUR", "1");
    TestApp::run_with(options, async |app| {
        app.user("alice", Role::Freelance).await;
        let body = json!({ "email": "alice@example.org", "password": "p", "password_repeat": "p",
            "role": "COMPANY", "username": "other" });
        for expected in [201, 201, 429] {
            with_cookie(&app.anonymous(), "").post("/auth/register", body.clone()).await.expect(expected);
        }
        assert!(app.authentik.controls().calls().is_empty());
    })
    .await;
}
