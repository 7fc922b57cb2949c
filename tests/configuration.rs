//! Settings that have to work against a real server.

use freehunt_config::{DatabaseConfig, Source};
use freehunt_tests::empty_database;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Fault case 157: a secret file with a trailing newline, Prisma's parameters, and a password with every character that
/// means something in a URL.
#[tokio::test]
async fn unescaped_passwords_and_prisma_parameters_connect() {
    let database = empty_database().await;
    let mut admin = PgConnection::connect_with(&database.options).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (index, password) in ["a/b+c=d", "p@ss:word", "100%#?&", "é ñ/@:%zz"].iter().enumerate() {
        let role = format!("odd_{index}_{}", &database.name[database.name.len() - 12..]);
        let create = format!("CREATE ROLE \"{role}\" LOGIN PASSWORD '{password}'");
        sqlx::query(AssertSqlSafe(create)).execute(&mut admin).await.unwrap();
        let (host, port) = (database.options.get_host(), database.options.get_port());
        let url = format!(
            "postgresql://{role}:{password}@{host}:{port}/{}?schema=public&connection_limit=5&pool_timeout=3\r\n",
            database.name
        );
        std::fs::write(folder.path().join("database_url"), url).unwrap();
        let config = DatabaseConfig::load(&Source::from_map(Vec::<(String, String)>::new(), folder.path())).unwrap();
        assert_eq!(config.max_connections, 5);
        let mut connection = PgConnection::connect_with(&config.options).await.unwrap();
        let (user, zone): (String, String) = sqlx::query_as("SELECT current_user::text, current_setting('TimeZone')")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!((user, zone.as_str()), (role.clone(), "UTC"));
        connection.close().await.unwrap();
        sqlx::query(AssertSqlSafe(format!("DROP ROLE \"{role}\""))).execute(&mut admin).await.unwrap();
    }
    admin.close().await.unwrap();
    database.drop_now().await.unwrap();
}
