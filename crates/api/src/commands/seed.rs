//! `seed`: demo data into an empty database.

use freehunt_domain::seed;

use super::{database_config, migrate, pool, print};

pub async fn run() -> anyhow::Result<()> {
    let config = database_config()?;
    migrate::bring_up_to_date(&config).await?;
    let users = seed::fill(&pool(&config)).await?;
    print(&Ok(format!("{} users and their demo data were added", users.len())))
}
