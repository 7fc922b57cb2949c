//! `/freelances`.

use freehunt_domain::users::Role;
use freehunt_tests::{Persona, TestApp};
use serde_json::{Value, json};
use uuid::Uuid;

fn profile_of(owner: &Persona) -> Value {
    json!({
        "firstName": "Alice", "lastName": "Martin", "jobTitle": "Développeuse Rust", "averageDailyRate": 450.5,
        "seniority": 5, "location": "Paris", "userId": owner.user_id
    })
}

/// `body` with one field set.
fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

async fn skill(app: &TestApp, name: &str) -> Uuid {
    sqlx::query_scalar(
        r#"INSERT INTO "Skill" ("name", "normalizedName", "type") VALUES ($1, $2, 'TECHNICAL') RETURNING "id""#,
    )
    .bind(name)
    .bind(name.to_lowercase())
    .fetch_one(&app.pool)
    .await
    .unwrap()
}

fn skill_names(profile: &Value) -> Vec<&str> {
    profile["skills"].as_array().unwrap().iter().map(|skill| skill["name"].as_str().unwrap()).collect()
}

const PUBLIC: [&str; 12] = [
    "averageDailyRate",
    "createdAt",
    "firstName",
    "id",
    "jobTitle",
    "lastName",
    "location",
    "seniority",
    "skills",
    "updatedAt",
    "user",
    "userId",
];

#[tokio::test]
async fn a_profile_is_made_read_changed_and_deleted() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        // Skills come oldest first, not by name.
        let (sql, rust) = (skill(app, "SQL").await, skill(app, "Rust").await);
        let mine = format!("/freelances/user/{}", alice.user_id);
        let none = alice.get(&mine).await;
        assert_eq!(none.message(), format!("Freelance profile not found for user ID: {}", alice.user_id));
        assert_eq!(none.expect(404)["error"], "Not Found");

        let body = with(profile_of(&alice), "skillIds", json!([rust, sql, rust]));
        let created = alice.post("/freelances", with(body, "documentIds", json!("x"))).await.expect(201);
        let mut own = PUBLIC.to_vec();
        own.insert(9, "stripeAccountId");
        assert_eq!(keys(&created), own);
        assert_eq!(keys(&created["user"]), ["createdAt", "email", "id", "role", "updatedAt", "username"]);
        assert_eq!((&created["averageDailyRate"], &created["stripeAccountId"]), (&json!(450.5), &Value::Null));
        assert_eq!(skill_names(&created), ["SQL", "Rust"]);
        assert_eq!(alice.get(&mine).await.expect(200), created);
        assert_eq!(skill_names(&alice.get("/auth/getme").await.expect(200)["freelance"]), ["SQL", "Rust"]);
        let found = app.anonymous().post("/freelances/search", json!({})).await.expect(200);
        assert_eq!(skill_names(&found["data"][0]), ["SQL", "Rust"]);

        let path = format!("/freelances/{}", created["id"].as_str().unwrap());
        let change = json!({ "jobTitle": "DevOps", "averageDailyRate": 300, "seniority": 0 });
        let changed = alice.patch(&path, change).await.expect(200);
        assert_eq!((&changed["jobTitle"], &changed["seniority"]), (&json!("DevOps"), &json!(0)));
        assert_eq!(changed["averageDailyRate"].to_string(), "300");
        assert_eq!(skill_names(&changed), ["SQL", "Rust"]);
        assert_eq!(skill_names(&alice.patch(&path, json!({ "skillIds": [sql] })).await.expect(200)), ["SQL"]);
        assert_eq!(skill_names(&alice.patch(&path, json!({ "skillIds": [] })).await.expect(200)), [""; 0]);

        assert_eq!(alice.delete(&path).await.expect(200)["id"], created["id"]);
        assert_eq!(alice.delete(&path).await.message(), "Record to delete does not exist.");
        assert_eq!(alice.patch(&path, json!({})).await.message(), "Record to update not found.");
        assert_eq!(app.anonymous().get(&path).await.message(), "Freelance not found");
    })
    .await;
}

#[tokio::test]
async fn the_public_sees_neither_address_nor_account() {
    TestApp::run(async |app| {
        let alice = app.freelance("alice").await;
        let path = format!("/freelances/{}", alice.freelance_id());
        let (acme, bob) = (app.company("acme").await, app.user("bob", Role::Freelance).await);
        for reader in [&app.anonymous(), &acme, &bob] {
            let seen = reader.get(&path).await.expect(200);
            assert_eq!(keys(&seen), PUBLIC);
            assert_eq!(seen["user"], json!({ "id": alice.user_id, "username": "alice" }));
            let page = reader.post("/freelances/search", json!({})).await.expect(200);
            assert_eq!(page, json!({ "data": [seen], "total": 1 }));
        }
        let own = alice.get(&format!("/freelances/user/{}", alice.user_id)).await.expect(200);
        assert!(own["stripeAccountId"].as_str().unwrap().starts_with("acct_"));
        assert_eq!(alice.get(&path).await.expect(200), own);
        acme.get(&format!("/freelances/user/{}", alice.user_id)).await.expect(403);
        app.anonymous().get(&format!("/freelances/user/{}", alice.user_id)).await.expect(401);
        app.anonymous().get("/freelances").await.expect(401);
        alice.get("/freelances").await.expect(403);
        assert_eq!(app.anonymous().get("/freelances/x").await.message(), "Validation failed (uuid is expected)");
        app.anonymous().get(&format!("/freelances/{}", Uuid::nil())).await.expect(404);
    })
    .await;
}

/// Fault case 31.
#[tokio::test]
async fn the_payout_account_is_accepted_only_as_it_is() {
    TestApp::run(async |app| {
        let alice = app.freelance("alice").await;
        let path = format!("/freelances/{}", alice.freelance_id());
        let own = alice.get(&format!("/freelances/user/{}", alice.user_id)).await.expect(200);
        let change = |account: Value| json!({ "location": "Nantes", "stripeAccountId": account });
        alice.patch(&path, change(json!("acct_mine"))).await.expect(403);
        alice.patch(&path, change(json!(""))).await.expect(403);
        alice.patch(&path, change(json!(5))).await.expect(400);
        let unchanged = alice.get(&format!("/freelances/user/{}", alice.user_id)).await.expect(200);
        assert_eq!(unchanged, own);
        let changed = alice.patch(&path, change(own["stripeAccountId"].clone())).await.expect(200);
        assert_eq!((&changed["location"], &changed["stripeAccountId"]), (&json!("Nantes"), &own["stripeAccountId"]));

        let bob = app.user("bob", Role::Freelance).await;
        let created = bob.post("/freelances", profile_of(&bob)).await.expect(201);
        let path = format!("/freelances/{}", created["id"].as_str().unwrap());
        bob.patch(&path, change(json!(""))).await.expect(200);
        bob.patch(&path, change(Value::Null)).await.expect(200);
        bob.patch(&path, change(json!("acct_mine"))).await.expect(403);
    })
    .await;
}

/// Fault case 32.
#[tokio::test]
async fn only_freelances_make_profiles_and_only_their_own() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let bob = app.freelance("bob").await;
        let acme = app.company("acme").await;
        app.anonymous().post("/freelances", profile_of(&alice)).await.expect(401);
        acme.post("/freelances", json!({})).await.expect(403);
        acme.post("/freelances", profile_of(&acme)).await.expect(403);
        bob.post("/freelances", profile_of(&alice)).await.expect(403);
        let second = bob.post("/freelances", profile_of(&bob)).await;
        assert_eq!(second.message(), "Donnée déjà existante pour le champ unique : userId");
        second.expect(409);

        alice.post("/freelances", profile_of(&alice)).await.expect(201);
        let path = format!("/freelances/{}", bob.freelance_id());
        for stranger in [&alice, &acme] {
            stranger.patch(&path, json!({ "firstName": "Mallory" })).await.expect(403);
            stranger.delete(&path).await.expect(403);
        }
        app.anonymous().patch(&path, json!({})).await.expect(401);
        assert_eq!(app.anonymous().get(&path).await.expect(200)["firstName"], "bob");
    })
    .await;
}

#[tokio::test]
async fn skills_that_do_not_exist_are_named_by_number() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let rust = skill(app, "Rust").await;
        let ids = json!([rust, "00000000-0000-4000-8000-000000000000", "11111111-1111-4111-8111-111111111111"]);
        let refused = alice.post("/freelances", with(profile_of(&alice), "skillIds", ids)).await;
        assert_eq!(refused.message(), "Expected 3 records to be connected, found only 1.");
        assert_eq!(refused.expect(404)["error"], "NotFoundDependency");
        let created = alice.post("/freelances", with(profile_of(&alice), "skillIds", json!([rust]))).await.expect(201);
        let path = format!("/freelances/{}", created["id"].as_str().unwrap());
        let refused = alice.patch(&path, json!({ "skillIds": [Uuid::nil()], "location": "Nantes" })).await;
        assert_eq!(refused.message(), "Expected 1 records to be connected, found only 0.");
        let kept = alice.get(&path).await.expect(200);
        assert_eq!((skill_names(&kept), &kept["location"]), (vec!["Rust"], &json!("Paris")));
    })
    .await;
}

/// Fault cases 48, 51, 54, 60.
#[tokio::test]
async fn bad_profiles_are_refused() {
    TestApp::run(async |app| {
        let alice = app.freelance("alice").await;
        let path = format!("/freelances/{}", alice.freelance_id());
        let before = alice.get(&path).await.expect(200);
        let bad = [
            ("averageDailyRate", vec![json!(0), json!(-1), json!("5"), json!(true), json!(1e308), json!([])]),
            ("seniority", vec![json!(-1), json!(2.5), json!("5"), json!(3_000_000_000_u32), json!(1e18), json!(false)]),
            ("firstName", vec![json!("A"), json!("😀"), json!("x".repeat(26)), json!(1), json!("a\u{0}b")]),
            ("lastName", vec![json!(""), json!("😀".repeat(26))]),
            ("jobTitle", vec![json!(5), json!("x".repeat(201))]),
            ("location", vec![json!({}), json!("x".repeat(201))]),
            ("skillIds", vec![json!("x"), json!(["nope"]), json!([null]), json!(vec![Uuid::nil(); 101])]),
            ("userId", vec![json!(alice.user_id)]),
        ];
        for (field, values) in bad {
            for value in values {
                let body = json!({ field: value });
                let refused = alice.patch(&path, body.clone()).await;
                assert!(refused.message().contains(field), "{body}: {}", refused.text);
                refused.expect(400);
            }
        }
        for number in ["1e400", "NaN", "Infinity", "-"] {
            let request = alice.request(reqwest::Method::PATCH, &path).header("content-type", "application/json");
            alice.answer(request.body(format!(r#"{{"averageDailyRate":{number}}}"#))).await.expect(400);
        }
        assert_eq!(alice.get(&path).await.expect(200), before);
        let texts = alice.post("/freelances", json!({})).await;
        for field in ["firstName", "lastName", "jobTitle", "averageDailyRate", "seniority", "location", "userId"] {
            assert!(texts.message().contains(field), "{field}: {}", texts.text);
        }
        texts.expect(400);
    })
    .await;
}

#[tokio::test]
async fn a_freelance_who_applied_stays() {
    TestApp::run(async |app| {
        let (alice, acme) = (app.freelance("alice").await, app.company("acme").await);
        let posting = app.unpaid_posting(&acme, &[10_000]).await;
        sqlx::query(r#"INSERT INTO "Candidate" ("jobPostingId", "freelanceId") VALUES ($1, $2)"#)
            .bind(posting.0)
            .bind(alice.freelance_id().0)
            .execute(&app.pool)
            .await
            .unwrap();
        let path = format!("/freelances/{}", alice.freelance_id());
        alice.delete(&path).await.expect(409);
        app.anonymous().get(&path).await.expect(200);
    })
    .await;
}

/// Alice (Rust and SQL, Paris, 450 a day, 5 years), then Bob (SQL, Lyon, 300, 2), then Carol (nothing, Lyon, 600, 9).
async fn three_freelances(app: &TestApp) {
    let (rust, sql) = (skill(app, "Rust").await, skill(app, "SQL").await);
    let people = [
        ("Alice", "Développeuse", "Paris", 450.5, 5, vec![rust, sql]),
        ("Bob", "Dev 100% web_app", "Lyon", 300.0, 2, vec![sql]),
        ("Carol", r"Data \o/ scientist", "Lyon", 600.0, 9, vec![]),
    ];
    for (name, job_title, location, rate, seniority, skills) in people {
        let persona = app.user(&name.to_lowercase(), Role::Freelance).await;
        let profile = json!({
            "firstName": name, "lastName": "Martin", "jobTitle": job_title, "averageDailyRate": rate,
            "seniority": seniority, "location": location, "skillIds": skills, "userId": persona.user_id
        });
        persona.post("/freelances", profile).await.expect(201);
    }
    // Apart in time, whatever the clock's grain.
    sqlx::query(
        r#"UPDATE "Freelance" SET "createdAt" = timestamp '2025-01-01' + make_interval(days => length("firstName"))"#,
    )
    .execute(&app.pool)
    .await
    .unwrap();
}

async fn found(app: &TestApp, search: Value) -> (Vec<String>, i64) {
    let page = app.anonymous().post("/freelances/search", search).await.expect(200);
    let names = page["data"].as_array().unwrap().iter().map(|row| row["firstName"].as_str().unwrap().to_owned());
    (names.collect(), page["total"].as_i64().unwrap())
}

/// Fault case 53.
#[tokio::test]
async fn the_search_matches_literally() {
    TestApp::run(async |app| {
        three_freelances(app).await;
        let cases = [
            (json!({ "query": "" }), "Alice Bob Carol"),
            (json!({ "query": "ALI" }), "Alice"),
            (json!({ "query": "développ" }), "Alice"),
            (json!({ "query": "develop" }), ""),
            (json!({ "query": "lyon" }), "Bob Carol"),
            (json!({ "query": "sql" }), "Alice Bob"),
            (json!({ "query": "%" }), "Bob"),
            (json!({ "query": "_" }), "Bob"),
            (json!({ "query": "\\" }), "Carol"),
            (json!({ "query": "\\%" }), ""),
            (json!({ "query": "'" }), ""),
            (json!({ "query": "\";--" }), ""),
            (json!({ "jobTitle": "dev" }), "Bob"),
            (json!({ "skillNames": [] }), "Alice Bob Carol"),
            (json!({ "skillNames": ["rust"] }), "Alice"),
            (json!({ "skillNames": ["rust", "SQL", "Cobol"] }), "Alice Bob"),
            (json!({ "skillNames": ["Cobol"] }), ""),
            (json!({ "query": "bob", "skillNames": ["sql"] }), "Bob"),
            (json!({ "minDailyRate": 400, "maxDailyRate": 500 }), "Alice"),
            (json!({ "minDailyRate": 500, "maxDailyRate": 400 }), ""),
            (json!({ "minSeniority": 3 }), "Alice Carol"),
            (json!({ "minSeniority": 2.5, "maxSeniority": 1e308 }), "Alice Bob Carol"),
            (json!({ "query": null, "minDailyRate": null, "skip": null, "take": null }), "Alice Bob Carol"),
        ];
        for (search, expected) in cases {
            let (mut names, total) = found(app, search.clone()).await;
            names.sort();
            assert_eq!(names.join(" "), expected, "{search}");
            assert_eq!(usize::try_from(total).unwrap(), names.len(), "{search}");
        }
    })
    .await;
}

#[tokio::test]
async fn pages_are_stable_and_newest_first() {
    TestApp::run(async |app| {
        three_freelances(app).await;
        // Carol and Alice are of the same instant; ids decide.
        let (all, total) = found(app, json!({})).await;
        assert_eq!((all.len(), total, all[2].as_str()), (3, 3, "Bob"));
        let mut paged = Vec::new();
        for skip in 0..3 {
            let (names, total) = found(app, json!({ "skip": skip, "take": 1 })).await;
            assert_eq!(total, 3);
            paged.extend(names);
        }
        assert_eq!(paged, all);
        assert_eq!(found(app, json!({ "skip": 100 })).await, (vec![], 3));
    })
    .await;
}

/// Fault cases 52 and 54.
#[tokio::test]
async fn bad_searches_are_refused() {
    TestApp::run(async |app| {
        let anonymous = app.anonymous();
        let cases = [
            (json!({ "take": 0 }), "take must not be less than 1"),
            (json!({ "take": -1 }), "take must not be less than 1"),
            (
                json!({ "take": "10" }),
                "take must not be less than 1\ntake must be a number conforming to the specified constraints",
            ),
            (json!({ "take": 101 }), "take must not be greater than 100"),
            (json!({ "take": 1.5 }), "take must be an integer number"),
            (json!({ "skip": -1 }), "skip must not be less than 0"),
            (json!({ "skip": 1.5 }), "skip must be an integer number"),
            (json!({ "skip": 1e18 }), "skip must be an integer number"),
            (json!({ "skillNames": "React" }), "skillNames must be an array"),
            (json!({ "skillNames": vec!["x"; 101] }), "skillNames must contain no more than 100 elements"),
            (json!({ "query": "\u{0}" }), "query must not contain null characters"),
            (json!({ "skillNames": ["\u{0}"] }), "skillNames must not contain null characters"),
            (json!({ "foo": 1 }), "property foo should not exist"),
        ];
        for (search, text) in cases {
            let refused = anonymous.post("/freelances/search", search.clone()).await;
            assert!(refused.message().starts_with(text), "{search}: {}", refused.text);
            refused.expect(400);
        }
        anonymous.post("/freelances/search", json!({ "skillNames": [null] })).await.expect(400);
        anonymous.post("/freelances/search", json!({ "skillNames": vec!["x"; 100_000] })).await.expect(413);
        anonymous.post("/freelances/search", json!({ "take": 100 })).await.expect(200);
        let every = anonymous.post(
            "/freelances/search",
            json!({ "query": 1, "jobTitle": 2, "skillNames": "x", "minDailyRate": "a", "maxDailyRate": -1,
                    "minSeniority": "1", "maxSeniority": -1 }),
        );
        let texts = json!([
            "query must be a string",
            "jobTitle must be a string",
            "skillNames must be an array",
            "minDailyRate must not be less than 0",
            "minDailyRate must be a number conforming to the specified constraints",
            "maxDailyRate must not be less than 0",
            "minSeniority must not be less than 0",
            "minSeniority must be a number conforming to the specified constraints",
            "maxSeniority must not be less than 0"
        ]);
        assert_eq!(every.await.expect(400)["message"], texts);
    })
    .await;
}

/// As recorded from the original, which forgets about a missing job title, and wants a seniority
/// above 0.
#[tokio::test]
async fn the_texts_are_the_originals() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let missing = alice.post("/freelances", json!({})).await.expect(400);
        let texts = json!([
            "firstName must be longer than or equal to 2 characters", "firstName must be a string",
            "lastName must be longer than or equal to 2 characters", "lastName must be a string",
            "jobTitle must be a string", "averageDailyRate must be a positive number",
            "seniority must be a positive number", "location must be a string", "userId must be a UUID"
        ]);
        assert_eq!(missing["message"], texts);
        let wrong = json!({
            "firstName": 1, "lastName": "A", "jobTitle": "Développeuse Rust", "averageDailyRate": "450", "seniority": -2,
            "location": null, "skillIds": "x", "userId": "x"
        });
        let texts = json!([
            "firstName must be longer than or equal to 2 and shorter than or equal to 25 characters",
            "firstName must be a string", "lastName must be longer than or equal to 2 characters",
            "averageDailyRate must be a positive number", "seniority must be a positive number",
            "location must be a string", "each value in skillIds must be a UUID", "skillIds must be an array",
            "userId must be a UUID"
        ]);
        assert_eq!(alice.post("/freelances", wrong).await.expect(400)["message"], texts);
        let emoji = with(with(profile_of(&alice), "firstName", json!("😀")), "lastName", json!("😀".repeat(26)));
        let texts = json!([
            "firstName must be longer than or equal to 2 and shorter than or equal to 25 characters",
            "lastName must be shorter than or equal to 25 characters"
        ]);
        assert_eq!(alice.post("/freelances", emoji).await.expect(400)["message"], texts);

        let created = alice.post("/freelances", profile_of(&alice)).await.expect(201);
        let path = format!("/freelances/{}", created["id"].as_str().unwrap());
        for field in ["firstName", "lastName", "jobTitle", "averageDailyRate", "seniority", "location"] {
            alice.patch(&path, json!({ field: null })).await.expect(400);
        }
        alice.patch(&path, json!({ "skillIds": null, "stripeAccountId": null })).await.expect(200);
        let search = app.anonymous().post("/freelances/search", json!({ "take": "10" })).await.expect(400);
        let texts = ["take must not be less than 1", "take must be a number conforming to the specified constraints"];
        assert_eq!(search["message"], json!(texts));
    })
    .await;
}
