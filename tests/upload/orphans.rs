//! What the database does not know in the bucket: removed in the end, but not because it is the wrong database.

use chrono::TimeDelta;
use freehunt_domain::{schema, users::Role};
use freehunt_jobs::{JobContext, collect_orphans};
use freehunt_storage::ObjectKey;
use freehunt_tests::{TestApp, empty_database};
use sqlx::{PgPool, postgres::PgPoolOptions};

use super::{
    form::{Form, change_avatar, png},
    surroundings,
};

/// Sets the first sightings back by the time that unknown objects are kept.
pub async fn a_week_passes(pool: &PgPool) {
    days_pass(pool, 7).await;
}

async fn days_pass(pool: &PgPool, days: i32) {
    let sql = "UPDATE orphan_sighting SET first_seen_at = first_seen_at - make_interval(days => $1)";
    sqlx::query(sql).bind(days).execute(pool).await.unwrap();
}

async fn sightings(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar("SELECT key FROM orphan_sighting ORDER BY key").fetch_all(pool).await.unwrap()
}

async fn leave_orphan(app: &TestApp, owner: uuid::Uuid) -> ObjectKey {
    let key = ObjectKey::avatar(owner, "png");
    app.state.storage.put(&key, "image/png", png().into()).await.unwrap();
    key
}

#[tokio::test]
async fn an_empty_database_does_not_empty_the_bucket() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let avatar = change_avatar(&bob, Form::of(&png())).await.expect(200);
        let avatar = avatar["key"].as_str().unwrap();
        let database = empty_database().await;
        let pool = PgPoolOptions::new().max_connections(2).connect_with(database.options.clone()).await.unwrap();
        schema::migrate(&mut pool.acquire().await.unwrap()).await.unwrap();
        let wrong = JobContext { pool: pool.clone(), ..surroundings(app) };

        let tomorrow = app.state.clock.now() + TimeDelta::hours(25);
        for hours in (0..7 * 24).step_by(12) {
            let collected = collect_orphans(&wrong, tomorrow + TimeDelta::hours(hours)).await.unwrap();
            assert_eq!(collected.unknown, 0, "after {hours} hours");
        }
        assert_eq!(sightings(&pool).await, [avatar]);
        let much_later = tomorrow + TimeDelta::days(60);
        collect_orphans(&wrong, much_later).await.unwrap();
        assert_eq!(app.s3.objects(), [avatar], "the week begins anew when the wrong database is taken up again");

        collect_orphans(&surroundings(app), much_later).await.unwrap();
        assert_eq!(app.s3.objects(), [avatar], "the right database knows it");
        assert!(sightings(&app.pool).await.is_empty());
        pool.close().await;
        database.drop_now().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_orphan_is_removed_after_its_week_unless_it_is_known_again() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let orphan = leave_orphan(app, bob.user_id.0).await;
        let other = leave_orphan(app, bob.user_id.0).await;
        let context = surroundings(app);
        let tomorrow = app.state.clock.now() + TimeDelta::hours(25);
        collect_orphans(&context, tomorrow).await.unwrap();
        let mut both = [orphan.as_str(), other.as_str()];
        both.sort_unstable();
        assert_eq!(sightings(&app.pool).await, both);
        let nearly = tomorrow + TimeDelta::hours(23);
        days_pass(&app.pool, 6).await;
        collect_orphans(&context, nearly).await.unwrap();
        assert_eq!(app.s3.objects().len(), 2, "an hour is missing");

        let known = "INSERT INTO uploaded_object (key, user_id, url, created_at) VALUES ($1, $2, $1, now() + interval '9 days')";
        sqlx::query(known).bind(other.as_str()).bind(bob.user_id.0).execute(&app.pool).await.unwrap();
        let collected = collect_orphans(&context, tomorrow + TimeDelta::hours(24)).await.unwrap();
        assert_eq!((collected.unknown, app.s3.objects()), (1, vec![other.to_string()]));

        sqlx::query("DELETE FROM uploaded_object").execute(&app.pool).await.unwrap();
        collect_orphans(&context, tomorrow + TimeDelta::hours(25)).await.unwrap();
        assert_eq!(app.s3.objects(), [other.as_str()], "unknown again, and its week begins anew");
        assert_eq!(sightings(&app.pool).await, [other.as_str()], "what is removed is forgotten");
        app.state.storage.delete(&other).await.unwrap();
        collect_orphans(&context, tomorrow + TimeDelta::hours(26)).await.unwrap();
        assert!(sightings(&app.pool).await.is_empty(), "and so is what is gone");
    })
    .await;
}
