//! The login form.

use freehunt_domain::{
    sessions::Token,
    users::{DirectoryEntry, Role, bind_identities},
};
use freehunt_sandbox::authentik::{Behaviour, NewUser};
use freehunt_tests::{TestApp, TestOptions, settings};
use http::Method;
use serde_json::json;

use super::{cookies_of, count, failed, log_in, signed_in, with_cookie};

fn wrong() -> serde_json::Value {
    failed(json!({ "non_field_errors": [{ "string": "Failed to authenticate.", "code": "invalid" }] }))
}

/// Fault case 10.
#[tokio::test]
async fn the_right_password_gives_cookies_and_no_secret_in_the_body() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        for identifier in [alice.email.as_str(), "ALICE@example.org", "alice"] {
            let answer = log_in(app, identifier, settings::PASSWORD).await;
            let cookies = answer.set_cookies();
            assert_eq!(cookies.len(), 2, "{cookies:?}");
            assert!(cookies[0].starts_with("freehunt_session=") && cookies[0].contains("; Path=/; "));
            assert!(cookies[1].starts_with("freehunt_socket=") && cookies[1].contains("; Path=/socket.io/; "));
            assert!(cookies.iter().all(|cookie| cookie.contains("HttpOnly; SameSite=Lax")));
            let session = with_cookie(&alice, &cookies_of(&answer));
            let body = json!({ "success": true, "cookies": [],
                "response": { "component": "xak-flow-redirect", "to": "/" } });
            assert_eq!(answer.expect(201), body);
            assert_eq!(session.get("/auth/getme").await.expect(200)["id"], json!(alice.user_id));
        }
    })
    .await;
}

/// Fault case 10, as it is in production.
#[tokio::test]
async fn over_https_cookies_are_secure_and_only_their_own_names_count() {
    let options = TestOptions::default()
        .with("FRONTEND_URL", "https://freehunt.example")
        .with("API_URL", "https://api.freehunt.example");
    TestApp::run_with(options, async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        // Neither `Origin` nor `Sec-Fetch-Site`: no browser.
        let body = json!({ "email": alice.email, "password": settings::PASSWORD });
        let request = app.anonymous().request(Method::POST, "/auth/login").json(&body);
        let mut request = request.build().unwrap();
        request.headers_mut().remove("origin");
        let response = reqwest::Client::builder().build().unwrap().execute(request).await.unwrap();
        let cookies: Vec<_> =
            response.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap().to_owned()).collect();
        assert!(cookies[0].starts_with("__Host-freehunt_session=") && cookies[0].ends_with("; Secure"));
        assert!(!cookies[0].contains("Domain"));
        assert!(cookies[1].starts_with("__Secure-freehunt_socket="));
        assert!(cookies[1].ends_with("; Domain=freehunt.example; Secure"));
        let pair = cookies[0].split(';').next().unwrap();
        with_cookie(&alice, pair).get("/auth/getme").await.expect(200);
        with_cookie(&alice, pair.trim_start_matches("__Host-")).get("/auth/getme").await.expect(401);
    })
    .await;
}

/// Fault cases 9 and 19.
#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_look_the_same() {
    TestApp::run(async |app| {
        app.user("alice", Role::Freelance).await;
        for (email, password) in
            [("alice@example.org", "wrong"), ("nobody@example.org", "wrong"), ("alice", ""), ("", "x")]
        {
            let answer = log_in(app, email, password).await;
            assert_eq!(answer.set_cookies(), Vec::<String>::new());
            assert_eq!(answer.expect(201), wrong(), "{email}");
        }
        assert_eq!(
            count(app, "SELECT count(*) FROM session WHERE origin = 'form' AND upstream_secret IS NOT NULL").await,
            0
        );
        let noted = count(app, r#"SELECT count(*) FROM "Log" WHERE "action" = 'log_in_refused'"#).await;
        assert_eq!(noted, 2, "one for the known account, one for the unknown");
    })
    .await;
}

#[tokio::test]
async fn broken_bodies_are_told_as_the_original_does() {
    TestApp::run(async |app| {
        let post = async |body| app.anonymous().post("/auth/login", body).await;
        let missing = post(json!({})).await;
        assert_eq!(missing.message(), "email must be a string\npassword must be a string");
        missing.expect(400);
        let unknown = post(json!({ "email": "alice", "password": "x", "remember": true })).await;
        assert_eq!(unknown.message(), "property remember should not exist");
        unknown.expect(400);
        post(json!({ "email": "alice", "password": "x".repeat(2000) })).await.expect(400);
        assert!(app.authentik.controls().calls().is_empty());
    })
    .await;
}

/// Fault case 11: what the browser came with is worth nothing after a login.
#[tokio::test]
async fn a_login_replaces_the_browsers_earlier_session() {
    TestApp::run(async |app| {
        let mallory = app.user("mallory", Role::Freelance).await;
        let alice = app.user("alice", Role::Freelance).await;
        let planted = signed_in(app, &mallory).await;
        planted.get("/auth/getme").await.expect(200);
        let body = json!({ "email": alice.email, "password": settings::PASSWORD });
        let answer = planted.post("/auth/login", body.clone()).await;
        assert_ne!(cookies_of(&answer), planted.cookie);
        planted.get("/auth/getme").await.expect(401);
        let unknown = Token::random().unwrap();
        let fixed = with_cookie(&alice, &format!("freehunt_session={}", unknown.as_str()));
        fixed.post("/auth/login", body).await.expect(201);
        fixed.get("/auth/getme").await.expect(401);
    })
    .await;
}

/// Fault case 6: a second account at Authentik with the same address opens nothing.
#[tokio::test]
async fn an_account_that_shares_an_address_gets_no_session() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let twin = NewUser {
            username: "twin".to_owned(),
            email: alice.email.clone(),
            password: "Twin-Password-1".to_owned(),
            skip_rules: true,
            ..NewUser::default()
        };
        app.authentik.add_user(twin).unwrap();
        let answer = log_in(app, "twin", "Twin-Password-1").await;
        assert!(answer.set_cookies().is_empty());
        assert_eq!(answer.expect(201), wrong());
        assert_eq!(app.authentik.open_sessions("twin"), 0, "nothing is left open at Authentik");
        let noted = r#"SELECT count(*) FROM "Log" WHERE "action" = 'log_in_refused'
            AND details->>'reason' = 'address_of_another_user'"#;
        assert_eq!(count(app, noted).await, 1);
    })
    .await;
}

/// Fault case 8.
#[tokio::test]
async fn the_case_of_an_address_does_not_matter() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        sqlx::query(r#"UPDATE "User" SET "email" = 'Bob@Example.ORG'"#).execute(&app.pool).await.unwrap();
        let session = signed_in(app, &bob).await;
        assert_eq!(session.get("/auth/getme").await.expect(200)["id"], json!(bob.user_id));
        let body = json!({ "email": "BOB@example.org", "password": "p", "password_repeat": "p",
            "role": "COMPANY", "username": "other" });
        let refused = app.anonymous().post("/auth/register", body).await.expect(201);
        assert_eq!(refused["response"]["response_errors"]["email"][0]["string"], "Email already taken");
        assert_eq!(app.authentik.enrolments(), 0);
    })
    .await;
}

/// An account whose address at Authentik became somebody else's is not let in.
#[tokio::test]
async fn the_address_is_a_second_check() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        app.authentik.set_email("alice", "new@example.org");
        assert_eq!(log_in(app, "alice", settings::PASSWORD).await.expect(201)["success"], false);
        app.authentik.set_email("alice", &alice.email);
        signed_in(app, &alice).await;
    })
    .await;
}

/// Fault cases 23 and 24, and an account that may not come in.
#[tokio::test]
async fn stages_that_cannot_be_answered_here_give_no_session() {
    TestApp::run(async |app| {
        app.user("alice", Role::Freelance).await;
        let elsewhere = Behaviour { redirect_flow_to: Some("http://127.0.0.1:1/".to_owned()), ..Behaviour::default() };
        let mfa = Behaviour { require_mfa: true, ..Behaviour::default() };
        let denied = Behaviour { deny: true, ..Behaviour::default() };
        app.authentik.set_behaviour(mfa);
        let answer = log_in(app, "alice", settings::PASSWORD).await;
        assert!(answer.set_cookies().is_empty());
        let body = answer.expect(201);
        assert_eq!(body["success"], false);
        assert!(body["response"]["to"].as_str().unwrap().ends_with("/auth/oidc/login"));
        app.authentik.set_behaviour(denied);
        assert_eq!(log_in(app, "alice", settings::PASSWORD).await.expect(201), wrong());
        app.authentik.set_behaviour(elsewhere);
        let answer = log_in(app, "alice", settings::PASSWORD).await;
        assert!(answer.set_cookies().is_empty());
        answer.expect(503);
        app.authentik.set_behaviour(Behaviour { separate_password_stage: true, ..Behaviour::default() });
        assert_eq!(log_in(app, "alice", settings::PASSWORD).await.expect(201)["success"], true);
    })
    .await;
}

/// D7: a row of the original that nobody has bound yet.
#[tokio::test]
async fn an_unbound_user_waits_for_the_operator() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let ghost = app.user("ghost", Role::Freelance).await;
        sqlx::query("DELETE FROM identity").execute(&app.pool).await.unwrap();
        app.authentik.set_email("ghost", "elsewhere@example.org");
        assert_eq!(log_in(app, "alice", settings::PASSWORD).await.expect(201), wrong());
        let bind = freehunt_api::auth::bind_identities::bind_identities;
        let dry = bind(&app.state, true).await.unwrap();
        assert_eq!(
            (dry.outcome.bound.as_slice(), dry.outcome.missing.as_slice()),
            ([alice.user_id].as_slice(), [ghost.user_id].as_slice())
        );
        assert_eq!(log_in(app, "alice", settings::PASSWORD).await.expect(201), wrong());
        let report = bind(&app.state, false).await.unwrap().to_string();
        assert!(report.starts_with("0 users were bound before\n1 users bound\n"), "{report}");
        assert!(report.contains(&ghost.user_id.to_string()) && !report.contains('@'));
        signed_in(app, &alice).await;
        assert_eq!(bind(&app.state, false).await.unwrap().outcome.already_bound, 1);
    })
    .await;
}

/// D7: an address that two accounts share is never bound.
#[tokio::test]
async fn ambiguous_addresses_stay_unbound() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        sqlx::query("DELETE FROM identity").execute(&app.pool).await.unwrap();
        let twin = NewUser {
            username: "twin".to_owned(),
            email: "ALICE@example.org".to_owned(),
            password: "Twin-Password-1".to_owned(),
            skip_rules: true,
            ..NewUser::default()
        };
        app.authentik.add_user(twin).unwrap();
        let outcome = freehunt_api::auth::bind_identities::bind_identities(&app.state, false).await.unwrap().outcome;
        assert_eq!((outcome.ambiguous, outcome.bound.len()), (vec![alice.user_id], 0));
        // An inactive account with the address still makes it ambiguous: who owned it is not known.
        app.authentik.deactivate("twin");
        let outcome = freehunt_api::auth::bind_identities::bind_identities(&app.state, false).await.unwrap().outcome;
        assert_eq!(outcome.ambiguous, [alice.user_id]);
        app.authentik.set_email("twin", "twin@example.org");
        let outcome = freehunt_api::auth::bind_identities::bind_identities(&app.state, false).await.unwrap().outcome;
        assert_eq!(outcome.bound, [alice.user_id]);
    })
    .await;
}

/// D7: the user's own account was deleted, and somebody else has taken address and user name since.
#[tokio::test]
async fn a_younger_account_is_reported_and_stays_unbound() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let bob = app.user("bob", Role::Freelance).await;
        sqlx::query("DELETE FROM identity").execute(&app.pool).await.unwrap();
        sqlx::query(r#"UPDATE "User" SET "createdAt" = "createdAt" - interval '1 day' WHERE "username" = 'alice'"#)
            .execute(&app.pool)
            .await
            .unwrap();
        let report = freehunt_api::auth::bind_identities::bind_identities(&app.state, true).await.unwrap();
        assert_eq!(
            (&report.outcome.younger[..], &report.outcome.bound[..]),
            (&[alice.user_id][..], &[bob.user_id][..])
        );
        assert!(report.to_string().contains("1 users have an account at Authentik that is younger"), "{report}");
        // Authentik 2025.2 does not say when an account was made; the numbers of other people's accounts tell.
        let entry = |name: &str, number| DirectoryEntry {
            uid: app.authentik.user(name).unwrap().uid,
            number,
            created_at: None,
            username: name.to_owned(),
            email: format!("{name}@example.org"),
            is_usable: true,
        };
        let outcome = bind_identities(&app.pool, &[entry("alice", 9), entry("bob", 5)], true).await.unwrap();
        assert_eq!((outcome.younger, outcome.bound), (vec![alice.user_id], vec![bob.user_id]));
        let outcome = bind_identities(&app.pool, &[entry("alice", 3), entry("bob", 5)], false).await.unwrap();
        assert_eq!((outcome.younger, outcome.bound), (vec![], vec![alice.user_id, bob.user_id]));
    })
    .await;
}

/// Where only the numbers of accounts tell, one pair out of order is no reason to lock out everybody between them.
#[tokio::test]
async fn one_account_out_of_order_leaves_the_others_alone() {
    TestApp::run(async |app| {
        let names = ["alice", "bob", "carol", "dave", "erin"];
        let mut ids = Vec::new();
        for (days, name) in names.into_iter().enumerate() {
            ids.push(app.user(name, Role::Freelance).await.user_id);
            sqlx::query(r#"UPDATE "User" SET "createdAt" = "createdAt" + $2 * interval '1 day' WHERE "username" = $1"#)
                .bind(name)
                .bind(days as f64)
                .execute(&app.pool)
                .await
                .unwrap();
        }
        sqlx::query("DELETE FROM identity").execute(&app.pool).await.unwrap();
        let younger = async |numbers: [i64; 5]| {
            let entry = |(name, number): (&str, i64)| DirectoryEntry {
                uid: app.authentik.user(name).unwrap().uid,
                number,
                created_at: None,
                username: name.to_owned(),
                email: format!("{name}@example.org"),
                is_usable: true,
            };
            let directory: Vec<DirectoryEntry> = names.into_iter().zip(numbers).map(entry).collect();
            let outcome = bind_identities(&app.pool, &directory, true).await.unwrap();
            assert_eq!(outcome.bound.len() + outcome.younger.len(), 5);
            outcome.younger
        };
        assert_eq!(younger([1, 2, 3, 4, 5]).await, []);
        assert_eq!(younger([9, 2, 3, 4, 5]).await, [ids[0]], "alice's account was made anew");
        assert_eq!(younger([1, 8, 3, 9, 10]).await, [ids[1]], "either bob's or carol's: the later one is bob's");
        assert_eq!(younger([2, 3, 4, 5, 1]).await, [], "erin had an account before there was FreeHunt");
        assert_eq!(younger([8, 9, 3, 4, 5]).await, [ids[0], ids[1]]);
    })
    .await;
}

#[tokio::test]
async fn trust_on_first_use_binds_once() {
    let options = TestOptions::default().with("IDENTITY_TRUST_ON_FIRST_USE", "true");
    TestApp::run_with(options, async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        sqlx::query("DELETE FROM identity").execute(&app.pool).await.unwrap();
        signed_in(app, &alice).await;
        let twin = NewUser {
            username: "twin".to_owned(),
            email: alice.email.clone(),
            password: "Twin-Password-1".to_owned(),
            skip_rules: true,
            ..NewUser::default()
        };
        app.authentik.add_user(twin).unwrap();
        assert_eq!(log_in(app, "twin", "Twin-Password-1").await.expect(201)["success"], false);
    })
    .await;
}
