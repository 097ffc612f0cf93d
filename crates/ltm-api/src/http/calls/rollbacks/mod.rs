pub(crate) mod page;
pub(crate) mod rollback;
