use shared::store::{Claim, Outcome};
use shared::svix::{SvixClient, SvixError};

/// Makes sure that the account's Svix application exists.
pub async fn run(svix: &SvixClient, claim: &Claim) -> Result<Outcome, SvixError> {
    let svix_app_id = svix.ensure_application(&claim.account_id).await?;
    Ok(Outcome::Provisioned { svix_app_id })
}
