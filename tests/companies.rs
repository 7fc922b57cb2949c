//! `/companies`.

use freehunt_domain::{ids::JobPostingId, users::Role};
use freehunt_tests::{Persona, TestApp};
use serde_json::{Value, json};
use uuid::Uuid;

fn company_of(owner: &Persona) -> Value {
    json!({
        "name": "Acme", "description": "Things", "address": "1 rue de la Paix, Paris", "siren": "123456789",
        "userId": owner.user_id
    })
}

fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

async fn publish(app: &TestApp, posting: JobPostingId) {
    sqlx::query(r#"UPDATE "JobPosting" SET "status" = 'PUBLISHED' WHERE "id" = $1"#)
        .bind(posting.0)
        .execute(&app.pool)
        .await
        .unwrap();
}

async fn apply(app: &TestApp, freelance: &Persona, posting: JobPostingId) {
    sqlx::query(r#"INSERT INTO "Candidate" ("jobPostingId", "freelanceId") VALUES ($1, $2)"#)
        .bind(posting.0)
        .bind(freelance.freelance_id().0)
        .execute(&app.pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_company_is_made_read_changed_and_deleted() {
    TestApp::run(async |app| {
        let acme = app.user("acme", Role::Company).await;
        let mine = format!("/companies/user/{}", acme.user_id);
        let none = acme.get(&mine).await;
        assert_eq!((none.status, none.text.as_str()), (200, ""));
        let created = acme.post("/companies", company_of(&acme)).await.expect(201);
        let fields = ["address", "createdAt", "description", "id", "name", "siren", "updatedAt", "user", "userId"];
        assert_eq!(keys(&created), fields);
        assert_eq!(keys(&created["user"]), ["createdAt", "email", "id", "role", "updatedAt", "username"]);
        assert_eq!(created["user"]["role"], "COMPANY");
        assert_eq!(acme.get(&mine).await.expect(200), created);
        let path = format!("/companies/{}", created["id"].as_str().unwrap());
        assert_eq!(acme.get(&path).await.expect(200), created);

        let change = json!({ "name": "Acme SA", "address": "2 rue", "userId": acme.user_id });
        let changed = acme.patch(&path, change).await.expect(200);
        assert_eq!((&changed["name"], &changed["address"]), (&json!("Acme SA"), &json!("2 rue")));
        assert_eq!(changed["siren"], created["siren"]);
        assert!(changed["updatedAt"].as_str() >= created["updatedAt"].as_str());
        assert_eq!(acme.patch(&path, json!({})).await.expect(200)["name"], "Acme SA");

        let deleted = acme.delete(&path).await.expect(200);
        assert_eq!(deleted["id"], created["id"]);
        let again = acme.delete(&path).await;
        assert_eq!(again.message(), "Record to delete does not exist.");
        assert_eq!(again.expect(404)["error"], "NotFoundDependency");
        assert_eq!(acme.patch(&path, json!({})).await.message(), "Record to update not found.");
        let audited: i64 = sqlx::query_scalar(
            r#"SELECT count(*) FROM "Log" WHERE "tableName" = 'Company' AND "action" = 'delete' AND actor_id = $1"#,
        )
        .bind(acme.user_id.0)
        .fetch_one(&app.pool)
        .await
        .unwrap();
        assert_eq!(audited, 1);
    })
    .await;
}

#[tokio::test]
async fn a_user_has_one_company() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let second = acme.post("/companies", company_of(&acme)).await;
        assert_eq!(second.message(), "Donnée déjà existante pour le champ unique : userId");
        assert_eq!(second.expect(409)["error"], "ValueAlreadyExists");
    })
    .await;
}

/// Fault case 32.
#[tokio::test]
async fn only_companies_make_companies_and_only_their_own() {
    TestApp::run(async |app| {
        let acme = app.user("acme", Role::Company).await;
        let rival = app.user("rival", Role::Company).await;
        let alice = app.user("alice", Role::Freelance).await;
        app.anonymous().post("/companies", json!({})).await.expect(401);
        // The role is looked at before the body.
        alice.post("/companies", json!({})).await.expect(403);
        alice.post("/companies", company_of(&alice)).await.expect(403);
        rival.post("/companies", company_of(&acme)).await.expect(403);
        let made: i64 = sqlx::query_scalar(r#"SELECT count(*) FROM "Company""#).fetch_one(&app.pool).await.unwrap();
        assert_eq!(made, 0);
    })
    .await;
}

/// Fault case 63.
#[tokio::test]
async fn bad_companies_are_refused() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let path = format!("/companies/{}", acme.company_id());
        for siren in [
            json!("12345678"),
            json!("1234567890"),
            json!("12345678x"),
            json!("１２３４５６７８９"),
            json!(123_456_789),
        ] {
            acme.patch(&path, json!({ "siren": siren })).await.expect(400);
            let mut body = company_of(&acme);
            body["siren"] = siren;
            acme.post("/companies", body).await.expect(400);
        }
        let mut body = company_of(&acme);
        body["userId"] = json!("42");
        assert_eq!(acme.post("/companies", body).await.expect(400)["message"], json!(["userId must be a UUID"]));
        let unknown = acme.patch(&path, json!({ "id": acme.company_id() })).await.expect(400);
        assert_eq!(unknown["message"], json!(["property id should not exist"]));
    })
    .await;
}

/// Fault cases 48, 49, 60 and 61.
#[tokio::test]
async fn texts_are_data_within_their_limits() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let path = format!("/companies/{}", acme.company_id());
        acme.patch(&path, json!({ "name": "a\u{0}b" })).await.expect(400);
        let surrogate = acme.request(reqwest::Method::PATCH, &path).header("content-type", "application/json");
        acme.answer(surrogate.body(r#"{"name":"\ud800"}"#)).await.expect(400);
        acme.patch(&path, json!({ "name": "x".repeat(201) })).await.expect(400);
        acme.patch(&path, json!({ "description": "x".repeat(20_001) })).await.expect(400);
        for name in ["<script>alert(1)</script>", "😀 שלום e\u{301} 𝒳", "'; DROP TABLE \"Company\"; --"] {
            assert_eq!(acme.patch(&path, json!({ "name": name })).await.expect(200)["name"], name);
            assert_eq!(acme.get(&path).await.expect(200)["name"], name);
        }
        acme.patch(&path, json!({ "name": "é".repeat(200), "description": "é".repeat(20_000) })).await.expect(200);
    })
    .await;
}

/// Fault case 30.
#[tokio::test]
async fn a_company_cannot_be_given_away_or_taken() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let rival = app.company("rival").await;
        let path = format!("/companies/{}", acme.company_id());
        acme.patch(&path, json!({ "userId": rival.user_id })).await.expect(403);
        rival.patch(&path, json!({ "userId": rival.user_id })).await.expect(403);
        rival.patch(&path, json!({ "name": "Taken" })).await.expect(403);
        rival.delete(&path).await.expect(403);
        app.anonymous().patch(&path, json!({ "name": "Taken" })).await.expect(401);
        app.anonymous().delete(&path).await.expect(401);
        let company = acme.get(&path).await.expect(200);
        assert_eq!((&company["name"], &company["userId"]), (&json!("acme SAS"), &json!(acme.user_id)));
    })
    .await;
}

#[tokio::test]
async fn lists_are_closed_and_paths_name_oneself() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let rival = app.company("rival").await;
        app.anonymous().get("/companies").await.expect(401);
        acme.get("/companies").await.expect(403);
        let path = format!("/companies/user/{}", acme.user_id);
        app.anonymous().get(&path).await.expect(401);
        rival.get(&path).await.expect(403);
        acme.get("/companies/user/x").await.expect(400);
    })
    .await;
}

#[tokio::test]
async fn each_audience_sees_its_own_fields() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let (alice, bob) = (app.freelance("alice").await, app.freelance("bob").await);
        let path = format!("/companies/{}", acme.company_id());
        let absent = app.anonymous().get(&format!("/companies/{}", Uuid::new_v4())).await;
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        for stranger in [&app.anonymous(), &alice] {
            let hidden = stranger.get(&path).await;
            assert_eq!((hidden.status, &hidden.text), (404, &absent.text));
        }

        apply(app, &alice, posting).await;
        let fields = ["address", "createdAt", "description", "id", "name", "siren", "updatedAt", "user"];
        let seen = alice.get(&path).await.expect(200);
        assert_eq!((keys(&seen), keys(&seen["user"])), (fields.to_vec(), vec!["id"]));
        bob.get(&path).await.expect(404);

        publish(app, posting).await;
        let seen = app.anonymous().get(&path).await.expect(200);
        assert_eq!((keys(&seen), keys(&seen["user"])), (fields.to_vec(), vec!["id"]));
        for reader in [&alice, &bob] {
            let seen = reader.get(&path).await.expect(200);
            assert_eq!((keys(&seen), keys(&seen["user"])), (fields.to_vec(), vec!["email", "id"]));
            assert_eq!(seen["user"], json!({ "id": acme.user_id, "email": acme.email }));
        }
    })
    .await;
}

#[tokio::test]
async fn a_company_with_postings_stays() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        app.unpaid_posting(&acme, &[10_000]).await;
        let path = format!("/companies/{}", acme.company_id());
        acme.delete(&path).await.expect(409);
        acme.get(&path).await.expect(200);
    })
    .await;
}

/// Fault case 55.
#[tokio::test]
async fn ids_in_paths_are_hyphenated_uuids() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let id = acme.company_id().to_string();
        acme.get(&format!("/companies/{}", id.to_uppercase())).await.expect(200);
        for bad in
            [id.replace('-', ""), format!("%7B{id}%7D"), format!("urn:uuid:{id}"), format!("{id}0"), format!("{id}%0A")]
        {
            let refused = acme.get(&format!("/companies/{bad}")).await;
            assert_eq!(refused.message(), "Validation failed (uuid is expected)", "{bad}");
            refused.expect(400);
        }
        acme.get(&format!("/companies/{}", Uuid::nil())).await.expect(404);
    })
    .await;
}

/// As recorded from the original, but for the text on too many or other characters, which it accepts.
#[tokio::test]
async fn the_texts_are_the_originals() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let path = format!("/companies/{}", acme.company_id());
        let cases = [
            (json!({ "siren": "1" }), json!(["siren must be longer than or equal to 9 characters"])),
            (
                json!({ "siren": null }),
                json!(["siren must be longer than or equal to 9 characters", "siren must be a string"]),
            ),
            (json!({ "siren": "1234567890" }), json!(["siren must be exactly 9 digits"])),
            (json!({ "siren": "12345678x" }), json!(["siren must be exactly 9 digits"])),
            (json!({ "name": null }), json!(["name must be a string"])),
        ];
        for (body, texts) in cases {
            assert_eq!(acme.patch(&path, body).await.expect(400)["message"], texts);
        }
        let mut body = company_of(&acme);
        body["siren"] = json!("x");
        body["userId"] = json!("11111111-1111-9111-8111-111111111111");
        let texts = json!(["siren must be longer than or equal to 9 characters", "userId must be a UUID"]);
        assert_eq!(acme.post("/companies", body).await.expect(400)["message"], texts);
    })
    .await;
}
