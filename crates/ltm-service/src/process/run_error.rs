//! Why a service ended.

use std::{error::Error, io};

use ltm_settings::SettingError;
use ltm_store::StoreError;

/// Why a service ended.
pub trait Failure: Error + 'static {
    /// Whether a setting cannot be used.
    fn is_wrong_setting(&self) -> bool;
}

/// Why a service ended before its shutdown began.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A setting cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingError),
    /// A setting of Redis cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Failure for StoreError {
    fn is_wrong_setting(&self) -> bool {
        matches!(self, Self::Setting { .. })
    }
}

impl Failure for RunError {
    fn is_wrong_setting(&self) -> bool {
        match self {
            Self::Settings(_) => true,
            Self::Store(error) => error.is_wrong_setting(),
            Self::Io(_) => false,
        }
    }
}
