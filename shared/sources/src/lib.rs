//! Where changes come from: bytes or pages of a source, decoded into [`tributary_core::event::Event`]s.
//!
//! One module a source. None of them knows Postgres, the mapping or Lambda; the runtime joins those.

pub mod dynamodb;
