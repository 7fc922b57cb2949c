//! The statements of the two searches, which differ by their table and one condition.
//!
//! Parameters stand in subqueries, so that the planner does not know their values: the plan is the same for every search,
//! is made once a connection, and never reads a large table. `LIMIT` inside keeps a walk within its bounds.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Conditions, Found, Limits, Look, Searching, Slice,
    conditions::{DrivenBy, Driver},
    fragments::Fragments,
};
use crate::job_postings::JobPostingLocation;

/// A table that is searched.
pub(crate) trait Searched {
    /// The condition that only this search has.
    type Narrow;

    /// What is known of its texts.
    fn fragments(searching: &Searching) -> &Fragments;

    /// Looks at the newest `rows` rows.
    async fn look(
        connection: &mut PgConnection,
        conditions: &Conditions<Self::Narrow>,
        slice: Slice,
        rows: i64,
    ) -> Result<Look, sqlx::Error>;

    /// The newest matches, at most `wanted`, among the newest `near` rows.
    async fn walk(
        connection: &mut PgConnection,
        conditions: &Conditions<Self::Narrow>,
        slice: Slice,
        near: i64,
        wanted: i64,
    ) -> Result<Found, sqlx::Error>;

    /// The newest matches as `limits` has it, sorted by how many of the skills `common` they have.
    async fn walk_ranked(
        connection: &mut PgConnection,
        conditions: &Conditions<Self::Narrow>,
        common: &[Uuid],
        slice: Slice,
        limits: &Limits,
    ) -> Result<Found, sqlx::Error>;

    /// At most `most` matches by an index, sorted by skills in common and age.
    async fn few(
        connection: &mut PgConnection,
        driver: &Driver<'_>,
        conditions: &Conditions<Self::Narrow>,
        common: &[Uuid],
        slice: Slice,
        most: i64,
    ) -> Result<Found, sqlx::Error>;

    /// A page of all rows, from the index alone.
    async fn newest(connection: &mut PgConnection, slice: Slice) -> Result<Vec<Uuid>, sqlx::Error>;

    /// The texts of about that share of the rows, from all over the table.
    async fn sample(connection: &mut PgConnection, share: f64) -> Result<Vec<String>, sqlx::Error>;

    /// Counts all rows by reading the table: for small ones.
    async fn count_all(connection: &mut PgConnection) -> Result<i64, sqlx::Error>;

    /// Counts the matches by reading the table: for small ones.
    async fn count(connection: &mut PgConnection, conditions: &Conditions<Self::Narrow>) -> Result<i64, sqlx::Error>;
}

/// A statement over the rows `s` that meet the conditions: a head, the conditions as parameters 1 to 7, a tail.
macro_rules! matching {
    ($text:expr, $conditions:expr, $narrow:expr, [$($head:literal)+], [$($tail:literal)+] $(, $argument:expr)*) => {
        sqlx::query!(
            $($head +)+
            " WHERE ((SELECT $1::text) IS NULL OR s.text LIKE (SELECT lower($1)))
                AND ((SELECT $2::uuid[]) IS NULL OR s.skills && (SELECT $2))
                AND ((SELECT $3::float8) IS NULL OR s.average_daily_rate >= (SELECT $3))
                AND ((SELECT $4::float8) IS NULL OR s.average_daily_rate <= (SELECT $4))
                AND ((SELECT $5::int8) IS NULL OR s.seniority >= (SELECT $5))
                AND ((SELECT $6::int8) IS NULL OR s.seniority <= (SELECT $6))
                AND " $(+ $tail)+,
            $text,
            $conditions.skills.as_deref(),
            $conditions.minimum_daily_rate,
            $conditions.maximum_daily_rate,
            $conditions.minimum_seniority,
            $conditions.maximum_seniority,
            $narrow
            $(, $argument)*
        )
    };
}

/// All matches by an index: `$drive` is the condition that it answers, with its values as parameters 12 and 13.
macro_rules! few {
    ($table:literal, $condition:literal, $drive:literal, $connection:expr, $text:expr, $conditions:expr, $narrow:expr,
     $slice:expr, $common:expr, $most:expr $(, $argument:expr)*) => {{
        let row = matching!(
            $text,
            $conditions,
            $narrow,
            ["WITH found AS MATERIALIZED (
                  SELECT s.id, s.created_at,
                         CASE WHEN cardinality($10::uuid[]) > 0 AND s.skills && $10
                              THEN (SELECT count(*) FROM unnest(s.skills) skill WHERE skill = ANY($10)) ELSE 0 END AS common
                  FROM " $table " s"],
            [$condition " AND " $drive "),
                few AS MATERIALIZED (SELECT id, created_at, common FROM found LIMIT (SELECT $11::int8))
              SELECT (SELECT count(*) FROM few) AS \"count!\",
                     ARRAY(SELECT f.id FROM few f ORDER BY f.common DESC, f.created_at DESC, f.id
                           OFFSET $8::int4 LIMIT $9::int4) AS \"page!\""],
            $slice.skip,
            $slice.take,
            $common,
            $most
            $(, $argument)*
        )
        .fetch_one($connection)
        .await?;
        Ok(Found { count: row.count, page: row.page })
    }};
}

macro_rules! searched {
    ($(#[$documentation:meta])* $name:ident, $fragments:ident, $table:literal, $narrow:ty, $condition:literal,
     |$conditions:ident| $argument:expr) => {
        $(#[$documentation])*
        pub(crate) enum $name {}

        impl Searched for $name {
            type Narrow = $narrow;

            fn fragments(searching: &Searching) -> &Fragments {
                &searching.$fragments
            }

            async fn look(
                connection: &mut PgConnection,
                $conditions: &Conditions<$narrow>,
                slice: Slice,
                rows: i64,
            ) -> Result<Look, sqlx::Error> {
                let row = sqlx::query!(
                    r#"SELECT count(*) AS "looked!", count(*) FILTER (WHERE l.by_text) AS "by_text!",
                              count(*) FILTER (WHERE l.by_skills) AS "by_skills!",
                              count(*) FILTER (WHERE l.by_rate) AS "by_rate!",
                              count(*) FILTER (WHERE l.by_seniority) AS "by_seniority!",
                              count(*) FILTER (WHERE l.by_text AND l.by_skills AND l.by_rate AND l.by_seniority AND l.by_narrow) AS "found!",
                              coalesce((array_agg(l.id) FILTER
                                  (WHERE l.by_text AND l.by_skills AND l.by_rate AND l.by_seniority AND l.by_narrow)
                              )[$9::int4 + 1 : $9::int4 + $10::int4], '{}') AS "page!",
                              (SELECT CASE WHEN c.reltuples > 0 AND c.relpages > 0 THEN c.reltuples::float8 / c.relpages ELSE 40 END
                                      * (pg_relation_size(c.oid) / current_setting('block_size')::int8)
                               FROM pg_class c WHERE c.oid = '"# + $table + r#"'::regclass) AS "rows!",
                              coalesce($3 <= (SELECT min(average_daily_rate) FROM "# + $table + r#"), true)
                              AND coalesce($4 >= (SELECT max(average_daily_rate) FROM "# + $table + r#"), true) AS "covers_rates!",
                              (SELECT d.datctype NOT IN ('C', 'POSIX') FROM pg_database d
                               WHERE d.datname = current_database()) AS "knows_letters!"
                       FROM (SELECT s.id, ((SELECT $1::text) IS NULL OR s.text LIKE (SELECT lower($1))) AS by_text,
                                    ((SELECT $2::uuid[]) IS NULL OR s.skills && (SELECT $2)) AS by_skills,
                                    ((SELECT $3::float8) IS NULL OR s.average_daily_rate >= (SELECT $3))
                                    AND ((SELECT $4::float8) IS NULL OR s.average_daily_rate <= (SELECT $4)) AS by_rate,
                                    ((SELECT $5::int8) IS NULL OR s.seniority >= (SELECT $5))
                                    AND ((SELECT $6::int8) IS NULL OR s.seniority <= (SELECT $6)) AS by_seniority,
                                    "# + $condition + r#" AS by_narrow
                             FROM (SELECT * FROM "# + $table + r#" ORDER BY created_at DESC, id LIMIT (SELECT $8::int8)) s OFFSET 0) l"#,
                    $conditions.text.as_deref(),
                    $conditions.skills.as_deref(),
                    $conditions.minimum_daily_rate,
                    $conditions.maximum_daily_rate,
                    $conditions.minimum_seniority,
                    $conditions.maximum_seniority,
                    $argument,
                    rows,
                    slice.skip,
                    slice.take,
                )
                .fetch_one(connection)
                .await?;
                Ok(Look {
                    looked: row.looked,
                    by_text: row.by_text,
                    by_skills: row.by_skills,
                    by_rate: row.by_rate,
                    by_seniority: row.by_seniority,
                    found: row.found,
                    page: row.page,
                    rows: row.rows,
                    covers_rates: row.covers_rates,
                    knows_letters: row.knows_letters,
                })
            }

            async fn walk(
                connection: &mut PgConnection,
                $conditions: &Conditions<$narrow>,
                slice: Slice,
                near: i64,
                wanted: i64,
            ) -> Result<Found, sqlx::Error> {
                let row = matching!(
                    $conditions.text.as_deref(),
                    $conditions,
                    $argument,
                    ["SELECT count(*) AS \"count!\",
                             coalesce((array_agg(f.id))[$8::int4 + 1 : $8::int4 + $9::int4], '{}') AS \"page!\"
                      FROM (SELECT s.id FROM (SELECT * FROM " $table " ORDER BY created_at DESC, id LIMIT (SELECT $10::int8)) s"],
                    [$condition " LIMIT (SELECT $11::int8)) f"],
                    slice.skip,
                    slice.take,
                    near,
                    wanted
                )
                .fetch_one(connection)
                .await?;
                Ok(Found { count: row.count, page: row.page })
            }

            async fn walk_ranked(
                connection: &mut PgConnection,
                $conditions: &Conditions<$narrow>,
                common: &[Uuid],
                slice: Slice,
                limits: &Limits,
            ) -> Result<Found, sqlx::Error> {
                let row = matching!(
                    $conditions.text.as_deref(),
                    $conditions,
                    $argument,
                    ["WITH found AS MATERIALIZED (
                          SELECT s.id, s.created_at,
                                 CASE WHEN s.skills && $10::uuid[]
                                      THEN (SELECT count(*) FROM unnest(s.skills) skill WHERE skill = ANY($10)) ELSE 0 END AS common
                          FROM (SELECT * FROM " $table " ORDER BY created_at DESC, id LIMIT (SELECT $11::int8)) s"],
                    [$condition " LIMIT (SELECT $12::int8))
                      SELECT (SELECT count(*) FROM found) AS \"count!\",
                             ARRAY(SELECT f.id FROM found f ORDER BY f.common DESC, f.created_at DESC, f.id
                                   OFFSET $8::int4 LIMIT $9::int4) AS \"page!\""],
                    slice.skip,
                    slice.take,
                    common,
                    limits.near,
                    limits.ranked
                )
                .fetch_one(connection)
                .await?;
                Ok(Found { count: row.count, page: row.page })
            }

            async fn few(
                connection: &mut PgConnection,
                driver: &Driver<'_>,
                $conditions: &Conditions<$narrow>,
                common: &[Uuid],
                slice: Slice,
                most: i64,
            ) -> Result<Found, sqlx::Error> {
                let text = $conditions.text.as_deref();
                match driver.by {
                    // The index's condition replaces the one on the same column, which would be checked twice.
                    DrivenBy::Text(pattern) => few!(
                        $table, $condition, "s.text LIKE (SELECT lower($12::text))", connection,
                        None::<&str>, $conditions, $argument, slice, common, most, pattern
                    ),
                    DrivenBy::Fragment(pattern) => few!(
                        $table, $condition, "s.text LIKE (SELECT lower($12::text))", connection,
                        text, $conditions, $argument, slice, common, most, pattern
                    ),
                    DrivenBy::Skills(skills) => few!(
                        $table, $condition, "s.skills && (SELECT $12::uuid[])", connection,
                        text, $conditions, $argument, slice, common, most, skills
                    ),
                    DrivenBy::Rate { minimum, maximum } => few!(
                        $table, $condition,
                        "s.average_daily_rate >= (SELECT $12::float8) AND s.average_daily_rate <= (SELECT $13::float8)",
                        connection, text, $conditions, $argument, slice, common, most, minimum, maximum
                    ),
                    DrivenBy::Seniority { minimum, maximum } => few!(
                        $table, $condition,
                        "s.seniority >= (SELECT $12::int8) AND s.seniority <= (SELECT $13::int8)",
                        connection, text, $conditions, $argument, slice, common, most, minimum, maximum
                    ),
                }
            }

            async fn newest(connection: &mut PgConnection, slice: Slice) -> Result<Vec<Uuid>, sqlx::Error> {
                sqlx::query_scalar!(
                    "SELECT id FROM " + $table + " ORDER BY created_at DESC, id OFFSET $1::int4 LIMIT $2::int4",
                    slice.skip,
                    slice.take,
                )
                .fetch_all(connection)
                .await
            }

            async fn sample(connection: &mut PgConnection, share: f64) -> Result<Vec<String>, sqlx::Error> {
                sqlx::query_scalar!(
                    "SELECT text FROM " + $table + " TABLESAMPLE SYSTEM (100 * least($1::float8, 1))",
                    share,
                )
                .fetch_all(connection)
                .await
            }

            async fn count_all(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
                sqlx::query_scalar!("SELECT count(*) AS \"count!\" FROM " + $table).fetch_one(connection).await
            }

            async fn count(
                connection: &mut PgConnection,
                $conditions: &Conditions<$narrow>,
            ) -> Result<i64, sqlx::Error> {
                let row = matching!(
                    $conditions.text.as_deref(),
                    $conditions,
                    $argument,
                    ["SELECT count(*) AS \"count!\" FROM " $table " s"],
                    [$condition]
                )
                .fetch_one(connection)
                .await?;
                Ok(row.count)
            }
        }
    };
}

searched!(
    /// Postings that can be found; narrowed by where the work is done.
    JobPostings,
    job_postings,
    "job_posting_search",
    JobPostingLocation,
    "((SELECT $7::\"JobPostingLocation\") IS NULL OR s.location = (SELECT $7))",
    |conditions| conditions.narrow as Option<JobPostingLocation>
);

searched!(
    /// Profiles; narrowed by a pattern of the job title.
    Freelances,
    freelances,
    "freelance_search",
    String,
    "((SELECT $7::text) IS NULL OR s.job_title LIKE (SELECT lower($7)))",
    |conditions| conditions.narrow.as_deref()
);
