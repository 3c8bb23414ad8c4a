//! `tributary schema`: the JSON Schema of the mapping file.

use crate::failure::{End, Failure};
use crate::output::Output;

pub(crate) fn run(output: &mut Output) -> Result<End, Failure> {
    output.raw(&format!("{:#}", tributary_core::mapping::schema()))?;
    Ok(End::Fine)
}
