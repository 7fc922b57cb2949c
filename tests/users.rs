//! `/users`: one's own account, and nobody else's.

use freehunt_domain::users::Role;
use freehunt_tests::TestApp;
use serde_json::{Value, json};

#[tokio::test]
async fn one_sees_oneself_with_ones_profile() {
    TestApp::run(async |app| {
        let alice = app.freelance("alice").await;
        let acme = app.company("acme").await;
        let me = alice.get("/auth/getme").await.expect(200);
        assert_eq!(alice.get(&format!("/users/{}", alice.user_id)).await.expect(200), me);
        assert_eq!(alice.get("/users/email/Alice%40example.org").await.expect(200), me);
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(",");
        assert_eq!(keys(&me), "company,createdAt,email,freelance,id,role,updatedAt,username");
        assert_eq!(
            keys(&me["freelance"]),
            "averageDailyRate,createdAt,firstName,id,jobTitle,lastName,location,seniority,skills,stripeAccountId,updatedAt,userId"
        );
        assert_eq!((&me["company"], &me["freelance"]["averageDailyRate"]), (&Value::Null, &json!(450)));
        let me = acme.get("/auth/getme").await.expect(200);
        assert_eq!(keys(&me["company"]), "address,createdAt,description,id,name,siren,updatedAt,userId");
        assert_eq!((&me["freelance"], &me["company"]["name"]), (&Value::Null, &json!("acme SAS")));
    })
    .await;
}

#[tokio::test]
async fn others_do_not_exist() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let bob = app.user("bob", Role::Company).await;
        let other = alice.get(&format!("/users/{}", bob.user_id)).await;
        let nobody = alice.get("/users/00000000-0000-4000-8000-000000000000").await;
        assert_eq!(other.text, nobody.text);
        other.expect(404);
        for path in ["/users/email/bob@example.org", "/users/email/zzz", "/users/email/a%2Fb"] {
            alice.get(path).await.expect(404);
        }
        alice.get("/users/email/%FF").await.expect(400);
        alice.get("/users/1").await.expect(400);
        for path in
            [format!("/users/{}", alice.user_id), "/users/email/alice@example.org".to_owned(), "/users/1".to_owned()]
        {
            app.anonymous().get(&path).await.expect(401);
        }
    })
    .await;
}

#[tokio::test]
async fn users_are_not_made_listed_or_deleted_here() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let new = json!({ "email": "x@example.org", "username": "x", "role": "COMPANY" });
        let own = format!("/users/{}", alice.user_id);
        for (persona, status) in [(&app.anonymous(), 401), (&alice, 403)] {
            persona.post("/users", new.clone()).await.expect(status);
            persona.get("/users").await.expect(status);
            persona.delete(&own).await.expect(status);
        }
    })
    .await;
}

/// Fault case 29.
#[tokio::test]
async fn only_the_user_name_can_be_changed() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let bob = app.user("bob", Role::Freelance).await;
        let own = format!("/users/{}", alice.user_id);
        for body in
            [json!({ "email": "new@example.org" }), json!({ "role": "COMPANY" }), json!({ "email": alice.email })]
        {
            alice.patch(&own, body).await.expect(403);
        }
        let renamed = alice.patch(&own, json!({ "username": "alicia" })).await.expect(200);
        assert_eq!((&renamed["username"], &renamed["email"]), (&json!("alicia"), &json!(alice.email)));
        assert!(renamed.get("company").is_none());
        assert_eq!(alice.get("/auth/getme").await.expect(200)["username"], "alicia");
        let taken = alice.patch(&own, json!({ "username": "BOB" })).await;
        assert_eq!(taken.message(), "Donnée déjà existante pour le champ unique : username");
        taken.expect(409);
        for body in [json!({ "username": "a@b" }), json!({ "username": " " }), json!({ "createdAt": "2020-01-01" })] {
            alice.patch(&own, body).await.expect(400);
        }
        alice.patch(&own, json!({})).await.expect(200);
        alice.patch(&format!("/users/{}", bob.user_id), json!({ "username": "x" })).await.expect(403);
        app.anonymous().patch(&own, json!({ "username": "x" })).await.expect(401);
    })
    .await;
}
