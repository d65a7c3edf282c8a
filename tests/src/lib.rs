//! What the tests of the whole repository share: its files, the operations that they name, and the comparison of what
//! is generated with what is checked in.

pub mod cdk;
pub mod checked_in;
pub mod contexts;
pub mod repository;
