//! The mapping file of a command: read, checked, or everything that is wrong with it.

use std::fs;
use std::path::Path;

use tributary_core::Error;
use tributary_core::mapping::load;
use tributary_core::pipeline::Mapping;

use crate::failure::{Failure, Findings};

/// The mapping at this path.
pub(crate) fn read(path: &Path) -> Result<Mapping, Failure> {
    let (file, text) = text(path)?;
    parse(file, text)
}

/// The mapping in this text.
pub(crate) fn parse(file: String, text: String) -> Result<Mapping, Failure> {
    let checked = load(&file, &text);
    match checked.mapping {
        Some(mapping) if checked.findings.is_empty() => Ok(mapping),
        _ => Err(Failure::Mapping(Findings { file, text, findings: checked.findings })),
    }
}

/// The file's name as findings show it, and its text.
pub(crate) fn text(path: &Path) -> Result<(String, String), Error> {
    let file = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|cause| {
        Error::config(format!("cannot read the mapping `{file}`"))
            .with_source(cause)
            .with_hint("name it with --mapping or TRIBUTARY_MAPPING; `tributary demo` needs none")
    })?;
    Ok((file, text))
}
