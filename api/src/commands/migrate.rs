use shared::config::Checker;
use shared::store::Store;

use super::StoreArgs;

/// Migrates the database's schema to this version.
pub async fn migrate(args: &StoreArgs) -> anyhow::Result<()> {
    let mut checker = Checker::default();
    args.database.check_session(&mut checker);
    args.open(checker)?.migrate().await?;
    tracing::info!("the schema is up to date");
    Ok(())
}
