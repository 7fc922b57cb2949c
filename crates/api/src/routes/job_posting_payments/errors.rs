//! The use cases' reasons as answers.

use freehunt_domain::payments::{BeginCheckoutError, CancelError, PublishError};

use crate::error::ApiError;

impl From<BeginCheckoutError> for ApiError {
    fn from(error: BeginCheckoutError) -> Self {
        match error {
            BeginCheckoutError::NotFound => Self::not_found("Annonce introuvable"),
            BeginCheckoutError::NotPending => Self::conflict("Cette annonce n'est pas en attente de paiement"),
            BeginCheckoutError::AlreadyPaid => Self::conflict("Cette annonce a déjà été payée"),
            BeginCheckoutError::SetAside => Self::conflict("Un paiement de cette annonce est en cours de vérification"),
            BeginCheckoutError::NoCheckpoints => Self::conflict("Cette annonce n'a aucun jalon à payer"),
            BeginCheckoutError::TotalDiffers => {
                Self::conflict("Le montant total de l'annonce diffère de la somme de ses jalons")
            }
            BeginCheckoutError::CheckpointTooSmall => {
                Self::conflict("Un jalon est trop petit pour être versé après les frais")
            }
            BeginCheckoutError::TooSmall => Self::bad_request("Le montant doit être d'au moins 0,50 €"),
            BeginCheckoutError::TooLarge => Self::bad_request("Le montant ne peut pas dépasser 999 999,99 €"),
            BeginCheckoutError::Database(error) => error.into(),
        }
    }
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::NotFound => Self::not_found("Annonce introuvable"),
            PublishError::NotPaid => Self::conflict("Cette annonce doit être payée avant d'être publiée"),
            PublishError::Database(error) => error.into(),
        }
    }
}

impl From<CancelError> for ApiError {
    fn from(error: CancelError) -> Self {
        match error {
            CancelError::NotFound => Self::not_found("Job posting not found"),
            CancelError::AlreadyCanceled => Self::conflict("Job posting is already canceled"),
            CancelError::Over => Self::conflict("Cannot cancel a job posting that is already expired or rejected"),
            CancelError::CandidateAccepted => {
                Self::conflict("Cannot cancel job posting: A candidate has already been accepted")
            }
            CancelError::ProjectExists => {
                Self::conflict("Cannot cancel job posting: A project has already been created")
            }
            CancelError::Disputed => Self::conflict("Cannot cancel job posting: Its payment is disputed"),
            CancelError::Database(error) => error.into(),
        }
    }
}
