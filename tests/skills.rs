//! `/skills`.

use freehunt_domain::{time::Clock, users::Role};
use freehunt_tests::{Persona, TestApp, eventually};
use serde_json::json;

use crate::auth::Replica;

#[tokio::test]
async fn a_skill_is_added_and_read() {
    TestApp::run(async |app| {
        let acme = app.user("acme", Role::Company).await;
        let skill = json!({ "name": "Gestion  de\tProjet Été", "aliases": ["PM"], "type": "SOFT" });
        let created = acme.post("/skills", skill.clone()).await.expect(201);
        assert_eq!(created["normalizedName"], "gestion-de-projet-été");
        assert_eq!(created["aliases"], json!(["PM"]));
        let id = created["id"].as_str().unwrap();
        assert_eq!(app.anonymous().get(&format!("/skills/{}", id.to_uppercase())).await.expect(200), created);
        assert_eq!(app.anonymous().get("/skills").await.expect(200), json!([created]));
        let again = acme.post("/skills", skill).await;
        assert_eq!(again.message(), "Donnée déjà existante pour le champ unique : name");
        assert_eq!(again.expect(409)["error"], "ValueAlreadyExists");
    })
    .await;
}

#[tokio::test]
async fn every_broken_rule_is_told_in_order() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let body = bob.post("/skills", json!({ "isAdmin": true, "name": 5 })).await.expect(400);
        let texts = json!([
            "property isAdmin should not exist",
            "name must be a string",
            "each value in aliases must be a string",
            "aliases must be an array",
            "type must be one of the following values: TECHNICAL, SOFT"
        ]);
        assert_eq!(body["message"], texts);
    })
    .await;
}

#[tokio::test]
async fn the_daily_limit_is_twenty() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        for number in 0..20 {
            let skill = json!({ "name": format!("Skill {number}"), "aliases": [], "type": "TECHNICAL" });
            bob.post("/skills", skill).await.expect(201);
        }
        let one_more = bob.post("/skills", json!({ "name": "Too many", "aliases": [], "type": "SOFT" })).await;
        assert!(one_more.headers.contains_key("retry-after"));
        one_more.expect(429);
    })
    .await;
}

#[tokio::test]
async fn changing_and_deleting_are_closed() {
    TestApp::run(async |app| {
        let acme = app.user("acme", Role::Company).await;
        let path = "/skills/00000000-0000-4000-8000-000000000000";
        app.anonymous().delete(path).await.expect(401);
        acme.delete(path).await.expect(403);
        acme.patch(path, json!({})).await.expect(403);
        assert_eq!(acme.get(path).await.text, "");
        acme.get("/skills/nonsense").await.expect(400);
    })
    .await;
}

/// The list is kept in memory, by two replicas here; whoever changes it, also a program that knows nothing of them.
#[tokio::test]
async fn every_replica_hears_of_a_changed_list() {
    TestApp::run(async |app| {
        let second = Replica::start(app, Clock::system()).await;
        let readers = [app.anonymous(), app.at(&app.anonymous(), &second.url)];
        let names = async |reader: &Persona| {
            let skills = reader.get("/skills").await.expect(200);
            skills
                .as_array()
                .unwrap()
                .iter()
                .map(|skill| skill["name"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        for reader in &readers {
            assert!(names(reader).await.is_empty());
        }
        let changes = [
            (
                r#"INSERT INTO "Skill" ("name", "normalizedName", "type") VALUES ('Rust', 'rust', 'TECHNICAL')"#,
                vec!["Rust"],
            ),
            (r#"UPDATE "Skill" SET "name" = 'Ferris'"#, vec!["Ferris"]),
            (r#"DELETE FROM "Skill""#, vec![]),
        ];
        for (change, expected) in changes {
            sqlx::query(change).execute(&app.pool).await.unwrap();
            for reader in &readers {
                eventually("the change is seen", async || names(reader).await == expected).await;
            }
        }
        second.stop().await;
    })
    .await;
}

#[tokio::test]
async fn the_list_has_an_etag() {
    TestApp::run(async |app| {
        let anonymous = app.anonymous();
        let first = anonymous.get("/skills").await;
        let tag = first.headers["etag"].clone();
        let again = anonymous.request(reqwest::Method::GET, "/skills").header("if-none-match", tag.clone());
        let unchanged = anonymous.answer(again).await;
        assert_eq!((unchanged.status, unchanged.text.as_str()), (304, ""));
        let acme = app.user("acme", Role::Company).await;
        let skill = json!({ "name": "Rust", "aliases": [], "type": "TECHNICAL" });
        acme.post("/skills", skill).await.expect(201);
        let again = anonymous.request(reqwest::Method::GET, "/skills").header("if-none-match", tag);
        assert_eq!(anonymous.answer(again).await.expect(200)[0]["name"], "Rust");
    })
    .await;
}
