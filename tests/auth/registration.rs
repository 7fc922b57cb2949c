//! The registration form: exactly one user and one account, however it is interrupted.

use freehunt_domain::{
    time::Clock,
    users::{BeginRegistration, Registrant, Role, begin_registration},
};
use freehunt_sandbox::{
    authentik::{Behaviour, NewUser},
    stand_in::Misbehaviour,
};
use freehunt_tests::{Answer, TestApp, TestOptions, settings};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Replica, cookies_of, count, log_in, with_cookie};

fn form(username: &str, role: &str) -> Value {
    json!({ "email": format!("{username}@example.org"), "password": "Registered-1", "password_repeat": "Registered-1",
        "role": role, "username": username })
}

async fn register(app: &TestApp, body: &Value) -> Answer {
    app.anonymous().post("/auth/register", body.clone()).await
}

fn errors(answer: Answer) -> Value {
    assert!(answer.set_cookies().is_empty());
    let body = answer.expect(201);
    assert_eq!((&body["success"], &body["cookies"]), (&json!(false), &json!([])));
    body["response"]["response_errors"].clone()
}

async fn users_and_identities(app: &TestApp) -> (i64, i64, i64) {
    (
        count(app, r#"SELECT count(*) FROM "User""#).await,
        count(app, "SELECT count(*) FROM identity").await,
        count(app, "SELECT count(*) FROM pending_registration").await,
    )
}

#[tokio::test]
async fn a_new_user_is_signed_in_at_once() {
    TestApp::run(async |app| {
        for (enrolment_logs_in, name, role) in [(true, "alice", "FREELANCE"), (false, "acme", "COMPANY")] {
            app.authentik.set_behaviour(Behaviour { enrolment_logs_in, ..Behaviour::default() });
            let answer = register(app, &form(name, role)).await;
            assert_eq!(answer.set_cookies().len(), 2);
            let session = with_cookie(&app.anonymous(), &cookies_of(&answer));
            assert_eq!(answer.expect(201)["response"], json!({ "component": "xak-flow-redirect", "to": "/" }));
            let me = session.get("/auth/getme").await.expect(200);
            assert_eq!((&me["username"], &me["role"]), (&json!(name), &json!(role)));
            assert_eq!((&me["company"], &me["freelance"]), (&Value::Null, &Value::Null));
        }
        assert_eq!(users_and_identities(app).await, (2, 2, 0));
    })
    .await;
}

/// Fault case 22.
#[tokio::test]
async fn an_unknown_role_makes_no_account() {
    TestApp::run(async |app| {
        for role in [json!("ADMIN"), json!(""), json!(["COMPANY"]), json!("company"), Value::Null] {
            let mut body = form("alice", "COMPANY");
            body["role"] = role;
            register(app, &body).await.expect(400);
        }
        let missing = register(app, &json!({})).await;
        assert_eq!(
            missing.message(),
            "email must be a string\npassword must be a string\npassword_repeat must be a string\nrole must be a string\nusername must be a string"
        );
        assert!(app.authentik.controls().calls().is_empty());
    })
    .await;
}

/// Fault cases 7 and 20.
#[tokio::test]
async fn what_is_wrong_or_taken_here_costs_no_enrolment() {
    TestApp::run(async |app| {
        app.user("alice", Role::Freelance).await;
        let change = |field: &str, value: &str| {
            let mut body = form("carol", "COMPANY");
            body[field] = json!(value);
            body
        };
        let error = |text: &str, code: &str| json!([{ "string": text, "code": code }]);
        let taken = errors(register(app, &change("email", "Alice@Example.org")).await);
        assert_eq!(taken, json!({ "email": error("Email already taken", "invalid") }));
        let taken = errors(register(app, &change("username", "ALICE")).await);
        assert_eq!(taken, json!({ "username": error("Username is already taken.", "invalid") }));
        let at = errors(register(app, &change("username", "alice@example.org")).await);
        assert_eq!(at, json!({ "username": error("Username must not contain '@'.", "invalid") }));
        let differ = errors(register(app, &change("password_repeat", "nope")).await);
        assert_eq!(differ, json!({ "non_field_errors": error("Passwords don't match.", "invalid") }));
        errors(register(app, &change("email", "no address")).await);
        errors(register(app, &change("username", " ")).await);
        assert!(app.authentik.controls().calls().is_empty());
        assert_eq!(users_and_identities(app).await, (1, 1, 0));
    })
    .await;
}

#[tokio::test]
async fn what_is_taken_at_authentik_is_told_by_field_and_leaves_nothing() {
    TestApp::run(async |app| {
        let known = NewUser {
            username: "alice".to_owned(),
            email: "alice@example.org".to_owned(),
            password: "Something-Else-1".to_owned(),
            ..NewUser::default()
        };
        app.authentik.add_user(known).unwrap();
        let refused = errors(register(app, &form("alice", "FREELANCE")).await);
        assert_eq!(refused["email"][0]["string"], "Email already taken");
        assert_eq!(users_and_identities(app).await, (0, 0, 0));
        // A second time it looks like an interrupted attempt; the wrong password shows that it is not.
        errors(register(app, &form("alice", "FREELANCE")).await);
        assert_eq!(users_and_identities(app).await.0, 0);
    })
    .await;
}

/// An attempt that ended between the enrolment and the user.
async fn interrupt(app: &TestApp, name: &str) {
    let account = NewUser {
        username: name.to_owned(),
        email: format!("{name}@example.org"),
        password: "Registered-1".to_owned(),
        ..NewUser::default()
    };
    app.authentik.add_user(account).expect("the attempt is new");
    attempt(app, name, "Registered-1", Role::Company).await;
}

/// As much of a registration as happens before Authentik is asked, which may then be away, or the server killed.
async fn attempt(app: &TestApp, name: &str, password: &str, role: Role) {
    let email = format!("{name}@example.org");
    let begun = begin_registration(&app.pool, Registrant { email: &email, username: name, role }, password).await;
    assert!(matches!(begun, Ok(BeginRegistration::Begun(_))), "{begun:?}");
}

/// Fault case 21: the next login finishes.
#[tokio::test]
async fn a_login_finishes_an_interrupted_registration() {
    TestApp::run(async |app| {
        interrupt(app, "acme").await;
        assert_eq!(log_in(app, "acme@example.org", "wrong").await.expect(201)["success"], false);
        let answer = log_in(app, "acme@example.org", "Registered-1").await;
        let session = with_cookie(&app.anonymous(), &cookies_of(&answer));
        assert_eq!(session.get("/auth/getme").await.expect(200)["role"], "COMPANY");
        assert_eq!(users_and_identities(app).await, (1, 1, 0));
    })
    .await;
}

/// Fault case 21: so does the same registration, but only with the same password.
#[tokio::test]
async fn the_same_registration_finishes_an_interrupted_one() {
    TestApp::run(async |app| {
        interrupt(app, "acme").await;
        let mut stranger = form("acme", "COMPANY");
        stranger["password"] = json!("Another-1");
        stranger["password_repeat"] = json!("Another-1");
        assert_eq!(errors(register(app, &stranger).await)["email"][0]["string"], "Email already taken");
        assert_eq!(users_and_identities(app).await, (0, 0, 1));
        let answer = register(app, &form("acme", "COMPANY")).await;
        assert_eq!(answer.expect(201)["success"], true);
        assert_eq!(users_and_identities(app).await, (1, 1, 0));
    })
    .await;
}

/// Fault case 21: the answer that said "enrolled" never arrived.
#[tokio::test]
async fn a_lost_answer_of_authentik_is_made_good_by_the_next_try() {
    TestApp::run(async |app| {
        let controls = app.authentik.controls();
        controls.misbehave_on(Method::POST, "/api/v3/flows/executor/freehunt-enrollment/", 1, Misbehaviour::LoseAnswer);
        let lost = register(app, &form("acme", "COMPANY")).await;
        assert!(lost.headers.contains_key("retry-after"));
        lost.expect(503);
        assert_eq!(register(app, &form("acme", "COMPANY")).await.expect(201)["success"], true);
        assert_eq!(users_and_identities(app).await, (1, 1, 0));
        assert_eq!(app.authentik.users().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn authentik_being_away_leaves_only_an_attempt() {
    TestApp::run(async |app| {
        app.authentik.controls().fail_everything();
        register(app, &form("acme", "COMPANY")).await.expect(503);
        assert_eq!(users_and_identities(app).await, (0, 0, 1));
        app.authentik.controls().recover();
        freehunt_tests::eventually("the circuit is closed", async || {
            register(app, &form("acme", "COMPANY")).await.status == StatusCode::CREATED.as_u16()
        })
        .await;
        assert_eq!(users_and_identities(app).await, (1, 1, 0));
    })
    .await;
}

/// Two clicks, five clicks: one user, one account.
#[tokio::test]
async fn simultaneous_registrations_make_one_user() {
    TestApp::run(async |app| {
        let body = form("acme", "COMPANY");
        let answers = futures_util::future::join_all((0..5).map(|_| register(app, &body))).await;
        assert!(answers.iter().all(|answer| answer.status == 201), "{answers:?}");
        assert!(answers.iter().any(|answer| answer.body["success"] == true), "{answers:?}");
        let (users, identities, _) = users_and_identities(app).await;
        assert_eq!((users, identities, app.authentik.users().len()), (1, 1, 1));
    })
    .await;
}

/// Fault case 21, long after: the attempt has expired, and Authentik still has the account that it made.
#[tokio::test]
async fn an_expired_attempt_is_swept_and_strands_nobody() {
    TestApp::run(async |app| {
        interrupt(app, "acme").await;
        sqlx::query("UPDATE pending_registration SET expires_at = now()").execute(&app.pool).await.unwrap();
        assert_eq!(log_in(app, "acme", "Registered-1").await.expect(201)["success"], false);
        let mut connection = app.pool.acquire().await.unwrap();
        // The server's own sweep may have come first.
        freehunt_domain::sessions::sweep_expired(&mut connection).await.unwrap();
        assert_eq!(users_and_identities(app).await, (0, 0, 0));
        drop(connection);
        let mut stranger = form("acme", "COMPANY");
        stranger["password"] = json!("Another-1");
        stranger["password_repeat"] = json!("Another-1");
        errors(register(app, &stranger).await);
        assert_eq!(users_and_identities(app).await, (0, 0, 0));
        assert_eq!(register(app, &form("acme", "COMPANY")).await.expect(201)["success"], true);
        assert_eq!(users_and_identities(app).await, (1, 1, 0));
        assert_eq!(app.authentik.users().len(), 1);
    })
    .await;
}

async fn role_after_login(app: &TestApp, name: &str) -> Option<Value> {
    let answer = log_in(app, name, "Registered-1").await;
    let session = with_cookie(&app.anonymous(), &cookies_of(&answer));
    if answer.expect(201)["success"] == false {
        return None;
    }
    Some(session.get("/auth/getme").await.expect(200)["role"].clone())
}

/// Anybody can begin a registration with anybody's address, name, and whatever role; it is finished only with the
/// password it was begun with.
#[tokio::test]
async fn nobody_is_given_the_role_that_somebody_else_asked_for() {
    TestApp::run(async |app| {
        // Known to Authentik alone, and never registered here.
        let alice = NewUser {
            username: "alice".to_owned(),
            email: "alice@example.org".to_owned(),
            password: "Registered-1".to_owned(),
            ..NewUser::default()
        };
        app.authentik.add_user(alice).unwrap();
        attempt(app, "alice", "Planted-1", Role::Company).await;
        assert_eq!(role_after_login(app, "alice").await, None);
        assert_eq!(users_and_identities(app).await.0, 0);
        assert_eq!(register(app, &form("alice", "FREELANCE")).await.expect(201)["success"], true);
        assert_eq!(role_after_login(app, "alice").await, Some(json!("FREELANCE")));
        // Interrupted, between two attempts of a stranger.
        attempt(app, "acme", "Planted-1", Role::Freelance).await;
        interrupt(app, "acme").await;
        attempt(app, "acme", "Planted-2", Role::Freelance).await;
        let mut refused = form("acme", "FREELANCE");
        (refused["password"], refused["password_repeat"]) = (json!("Planted-2"), json!("Planted-2"));
        errors(register(app, &refused).await);
        assert_eq!(role_after_login(app, "acme").await, Some(json!("COMPANY")));
        assert_eq!(count(app, "SELECT count(*) FROM registration_attempt").await, 0);
    })
    .await;
}

/// The user name is taken at Authentik by somebody who has another one here: knowing their password changes no answer,
/// leaves no session, counts as a login, and is written down.
#[tokio::test]
async fn a_registration_tells_nothing_about_the_password_of_another() {
    let options =
        TestOptions::default().with("LOGIN_LIMIT_ACCOUNT_BURST", "3").with("LOGIN_LIMIT_ACCOUNT_PER_MINUTE", "1");
    TestApp::run_with(options, async |app| {
        app.user("alice", Role::Freelance).await;
        sqlx::query(r#"UPDATE "User" SET "username" = 'alicia'"#).execute(&app.pool).await.unwrap();
        let sessions = app.authentik.open_sessions("alice");
        let guess = async |password: &str| {
            let mut body = form("alice", "COMPANY");
            body["email"] = json!("other@example.org");
            (body["password"], body["password_repeat"]) = (json!(password), json!(password));
            errors(register(app, &body).await)
        };
        let wrong = guess("Wrong-Password-1").await;
        assert_eq!(guess(settings::PASSWORD).await, wrong);
        assert_eq!(app.authentik.open_sessions("alice"), sessions);
        let noted = async |reason: &str| -> i64 {
            sqlx::query_scalar(
                r#"SELECT count(*) FROM "Log" WHERE "action" = 'log_in_refused' AND details->>'reason' = $1"#,
            )
            .bind(reason)
            .fetch_one(&app.pool)
            .await
            .unwrap()
        };
        assert_eq!((noted("wrong_credentials").await, noted("registration_of_another").await), (1, 1));
        guess("Wrong-Password-2").await;
        let asked = || {
            app.authentik.controls().calls_to(Method::POST, "/api/v3/flows/executor/default-authentication-flow/").len()
        };
        let before = asked();
        assert!(before >= 3);
        assert_eq!(guess(settings::PASSWORD).await, wrong);
        assert_eq!(log_in(app, "alice", settings::PASSWORD).await.expect(201)["success"], false);
        assert_eq!((asked(), noted("too_many").await), (before, 2));
        // The last guess was not tried: that attempt might have the account, and stays until it expires.
        assert_eq!(users_and_identities(app).await, (1, 1, 1));
    })
    .await;
}

/// Fault case 21: the same form again, refused meanwhile or not even tried, is the interrupted attempt's own and leaves it.
#[tokio::test]
async fn fault_case_21_an_interrupted_registration_outlives_repetitions_that_are_refused() {
    let options =
        TestOptions::default().with("LOGIN_LIMIT_ACCOUNT_BURST", "2").with("LOGIN_LIMIT_ACCOUNT_PER_MINUTE", "1");
    TestApp::run_with(options, async |app| {
        interrupt(app, "acme").await;
        app.authentik.set_behaviour(Behaviour { deny: true, ..Behaviour::default() });
        errors(register(app, &form("acme", "COMPANY")).await);
        app.authentik.set_behaviour(Behaviour::default());
        assert_eq!(count(app, "SELECT count(*) FROM registration_attempt").await, 1, "refused");
        assert_eq!(log_in(app, "acme", "wrong").await.expect(201)["success"], false);
        assert_eq!(log_in(app, "acme", "wrong").await.expect(201)["success"], false);
        errors(register(app, &form("acme", "COMPANY")).await);
        let too_many = r#"SELECT count(*) FROM "Log" WHERE "details"->>'reason' = 'too_many'"#;
        assert!(count(app, too_many).await >= 1);
        assert_eq!(count(app, "SELECT count(*) FROM registration_attempt").await, 1, "not tried");
        // Another replica counts by itself.
        let replica = Replica::start(app, Clock::system()).await;
        let body = json!({ "email": "acme", "password": "Registered-1" });
        let answer = app.at(&app.anonymous(), &replica.url).post("/auth/login", body).await;
        let session = with_cookie(&app.anonymous(), &cookies_of(&answer));
        assert_eq!(session.get("/auth/getme").await.expect(200)["role"], "COMPANY");
        assert_eq!(users_and_identities(app).await, (1, 1, 0));
        replica.stop().await;
    })
    .await;
}
