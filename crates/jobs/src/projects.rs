//! The end of a project, decided by an operator: Stripe is asked first what it made of transfers that failed here, so that
//! nothing is given back that was paid out.

use freehunt_domain::{
    ids::ProjectId,
    payments::{
        TransferIntent, TransferStatus,
        cancel_project::{CancelProjectError, ProjectCancellation, cancel_project},
        queries::{keys::find_now, projects::find_posting_of_project, transfers::list_transfers},
    },
    retry::retrying,
};

use crate::{Jobs, Setback, kinds::send_transfer};

/// Why a project was not ended.
#[derive(Debug, thiserror::Error)]
pub enum EndProjectError {
    #[error(transparent)]
    Refused(#[from] CancelProjectError),
    #[error(transparent)]
    Setback(#[from] Setback),
}

impl Jobs {
    /// Ends the project; a running server makes the refund.
    pub async fn cancel_project(
        &self,
        id: ProjectId,
        operator: &str,
        reason: &str,
    ) -> Result<ProjectCancellation, EndProjectError> {
        self.adopt_failed_transfers(id).await?;
        let canceled = retrying(|| cancel_project(&self.context().pool, id, operator, reason)).await?;
        Ok(canceled)
    }

    /// An earlier request of a transfer that was refused may have been carried out; once none can be any more, Stripe's
    /// list is the truth.
    async fn adopt_failed_transfers(&self, id: ProjectId) -> Result<(), EndProjectError> {
        let context = self.context();
        let (failed, looked_at) = {
            let mut connection = context.pool.acquire().await.map_err(Setback::from)?;
            let posting = find_posting_of_project(&mut connection, id).await.map_err(Setback::from)?;
            let posting = posting.ok_or(CancelProjectError::NotFound)?;
            let transfers = list_transfers(&mut connection, posting).await.map_err(Setback::from)?;
            let was_sent = |transfer: &TransferIntent| transfer.key_used_at.is_some() || transfer.key_number > 1;
            let failed = transfers.into_iter().filter(|transfer| transfer.status == TransferStatus::Failed);
            let failed: Vec<TransferIntent> = failed.filter(was_sent).collect();
            (failed, find_now(&mut connection).await.map_err(Setback::from)?)
        };
        for transfer in &failed {
            if let Some(rest) = transfer.key_use().rest(looked_at) {
                return Err(CancelProjectError::TransferResting(rest).into());
            }
            send_transfer::adopt(context, transfer).await?;
        }
        Ok(())
    }
}
