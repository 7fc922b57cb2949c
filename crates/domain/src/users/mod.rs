//! Users: the rows everything else belongs to, who they are at Authentik, and how they come to be. Sessions are a
//! feature of their own.

mod account;
mod bind;
mod identity;
mod model;
pub mod queries;
mod register;
mod registration_proof;
mod rename;

pub use account::{Account, CHANNEL, CompanyProfile, FreelanceProfile, find_account};
pub use bind::{BindOutcome, DirectoryEntry, bind_identities};
pub use identity::{IdentityRules, ProviderIdentity, Refusal, Resolution, resolve_identity};
pub use model::{Role, User, same_email};
pub use register::{
    BeginRegistration, PendingRegistration, Registrant, abandon_registration, allow_browser, begin_registration,
    complete_registration,
};
pub use registration_proof::RegistrationProof;
pub use rename::{RenameError, rename};
