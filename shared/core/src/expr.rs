//! Templates and expressions of a mapping: compiled once, evaluated a row.
//!
//! The language is Jinja as minijinja speaks it, with the functions and methods of Python that configurations use
//! (the module `python`). Nothing here reaches a file, the network, the clock or the environment, a program's steps are counted,
//! and no Python is ever evaluated. The mapping compiles programs, [`crate::route`] evaluates them.
//!
//! An absent field and an explicit NULL are one thing: missing. A missing value is false, prints as nothing, is `none`
//! and not `defined`, may be looked into (`a.b.c`), and the functions and methods of Python return missing for it.
//! Only in comparisons it is a value, which sorts before all others: write `age is not none and age < 18`.
//! Sparse items are the rule in DynamoDB, so strictness about them would send most rows to the dead letters; what is
//! strict is the program itself: unknown functions, filters, tests and methods are found when it is compiled.

mod convert;
mod lexis;
mod python;
mod spelling;

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use minijinja::{AutoEscape, Environment, ErrorKind, Expression, UndefinedBehavior, Value as Jinja};

use crate::error::{Error, Result};
use crate::value::Value;
use convert::Converter;
use lexis::Lexis;
pub use lexis::Names;
use spelling::Spelling;

/// How many instructions a program may execute on one row.
const FUEL: u64 = 50_000;

/// The longest source of a program, in bytes.
const LONGEST_SOURCE: usize = 16 * 1024;

/// What a program is evaluated on.
#[derive(Clone, Copy, Debug)]
pub struct Context<'v> {
    /// The row's part of the item. Its fields are names in the program; as a whole it is `row` and `r`.
    pub row: &'v Value,
    /// The whole item: `root`.
    pub root: &'v Value,
    /// The element's position in its list, from 0: `index`.
    pub index: Option<usize>,
}

/// A compiled template or expression.
///
/// Results are values like those of a source: numbers come back as exact decimal digits. Integers up to `i128` are
/// exact in arithmetic. A fraction is an `f64` where that holds its very digits; one with more digits passes through
/// unharmed, but to calculate or compare with it is an error, never a silent loss.
/// A copy shares the code.
#[derive(Clone, Debug)]
pub struct Program {
    code: Arc<Code>,
    names: Lexis,
    /// The lambda's parameter: another name for the row.
    parameter: Option<String>,
}

enum Code {
    /// Gives a typed value.
    Expression(Box<Expression<'static, 'static>>),
    /// A template of one `{{ … }}` and nothing else: text, or NULL when the value is missing.
    Single(Box<Expression<'static, 'static>>),
    /// Gives text.
    Template(Box<Environment<'static>>),
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Code::Expression(_) => "Expression",
            Code::Single(_) => "Single",
            Code::Template(_) => "Template",
        })
    }
}

/// Why a source is no program, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// The place, in bytes of the source.
    pub range: Option<Range<usize>>,
}

impl Flaw {
    fn new(message: impl Into<String>, range: Range<usize>) -> Self {
        Flaw { message: message.into(), hint: None, range: Some(range) }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The language, without any program in it.
static LANGUAGE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut language = Environment::new();
    language.set_undefined_behavior(UndefinedBehavior::Chainable);
    language.set_fuel(Some(FUEL));
    language.set_recursion_limit(100);
    language.set_auto_escape_callback(|_| AutoEscape::None);
    // Only with it do errors say where in the program they happened; it costs nothing until there is one.
    language.set_debug(true);
    python::install(&mut language);
    language
});

impl Program {
    /// Compiles a template (a source with `{{` or `{%` in it) or an expression (any other), or one of the spellings
    /// `TMPL(…)`, `lambda r: …`, `lambda v: …`, `lambda: …`.
    ///
    /// # Errors
    /// `Config` when the source has a syntax error or calls something that doesn't exist. [`Program::parse`] tells where.
    pub fn compile(source: &str) -> Result<Self> {
        Program::parse(source).map_err(|flaw| {
            let place = flaw.range.and_then(|range| source.get(range)).filter(|place| !place.trim().is_empty());
            let message = match place {
                Some(place) => format!("{} at `{place}`", flaw.message),
                None => flaw.message,
            };
            let error = Error::config(message);
            match flaw.hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        })
    }

    /// As [`Program::compile`], with the place of the flaw.
    ///
    /// # Errors
    /// The first flaw of the source.
    pub fn parse(source: &str) -> Result<Self, Flaw> {
        if source.len() > LONGEST_SOURCE {
            let message = format!("a program has at most {LONGEST_SOURCE} bytes");
            return Err(Flaw::new(message, 0..0));
        }
        let Spelling { body, parameter, template } = Spelling::read(source)?;
        let text = &source[body.clone()];
        let moved = |mut flaw: Flaw| {
            flaw.range = flaw.range.map(|range| range.start + body.start..range.end + body.start);
            flaw
        };
        let compile = |text: &str| LANGUAGE.compile_expression_owned(text.to_owned()).map_err(|e| refused(&e, text));
        let (code, names) = if template {
            let mut environment = LANGUAGE.clone();
            environment.add_template_owned("value", text.to_owned()).map_err(|e| moved(refused(&e, text)))?;
            let names = Lexis::of_template(text, &LANGUAGE).map_err(moved)?;
            match spelling::single(text).and_then(|inside| compile(inside).ok()) {
                Some(expression) => (Code::Single(Box::new(expression)), names),
                None => (Code::Template(Box::new(environment)), names),
            }
        } else {
            if text.trim().is_empty() {
                return Err(Flaw::new("the expression is empty", body.clone()));
            }
            let expression = compile(text).map_err(moved)?;
            (Code::Expression(Box::new(expression)), Lexis::of_expression(text, &LANGUAGE).map_err(moved)?)
        };
        Ok(Program { code: Arc::new(code), names, parameter })
    }

    /// Whether this gives a typed value; if not, it gives text.
    pub fn is_expression(&self) -> bool {
        matches!(*self.code, Code::Expression(_))
    }

    /// Which fields of the row the program names; those that it reads through `row`, `r` or a lambda's parameter too.
    pub fn row_fields(&self) -> Names {
        let whole = ["row", "r"].into_iter().chain(self.parameter.as_deref());
        let through = whole.map(|name| self.names.fields_of(name)).fold(Names::none(), Names::and);
        let own = self.names.free().map(|(name, _)| &**name).filter(|name| !self.is_bound(name) && *name != "index");
        through.and(Names::These(own.map(str::to_owned).collect()))
    }

    /// Which fields at the top of the whole item the program names through `root`.
    pub fn root_fields(&self) -> Names {
        self.names.fields_of("root")
    }

    /// Whether the program names `index`, the position in a list.
    pub fn uses_index(&self) -> bool {
        self.names.free().any(|(name, _)| &**name == "index")
    }

    /// The value for this row.
    ///
    /// # Errors
    /// `Data`, without any value of the row in the text: when an operation doesn't fit its operands, a number has too
    /// many digits to calculate with, or the program takes too many steps.
    pub fn eval(&self, context: &Context<'_>) -> Result<Value> {
        let scope = self.scope(context)?;
        match &*self.code {
            Code::Expression(expression) => convert::back(&expression.eval(scope).map_err(|e| failed(&e))?),
            Code::Single(expression) => {
                let value = expression.eval(scope).map_err(|e| failed(&e))?;
                if value.is_undefined() || value.is_none() {
                    return Ok(Value::Null);
                }
                python::printed(&value).map(Value::text).map_err(|e| failed(&e))
            }
            Code::Template(environment) => {
                let template = environment.get_template("value").map_err(|e| failed(&e))?;
                template.render(scope).map(Value::text).map_err(|e| failed(&e))
            }
        }
    }

    /// Whether the condition holds for this row: missing, zero and what is empty are false.
    ///
    /// # Errors
    /// As [`Program::eval`]; `Config` when the program is a template of several parts, whose text has no truth.
    pub fn holds(&self, context: &Context<'_>) -> Result<bool> {
        match &*self.code {
            Code::Expression(expression) | Code::Single(expression) => {
                Ok(expression.eval(self.scope(context)?).map_err(|e| failed(&e))?.is_true())
            }
            Code::Template(_) => Err(Error::config("a template gives text, which is no condition")),
        }
    }

    /// Whether the program can be a condition.
    pub fn is_condition(&self) -> bool {
        !matches!(*self.code, Code::Template(_))
    }

    fn is_bound(&self, name: &str) -> bool {
        matches!(name, "row" | "r" | "root") || self.parameter.as_deref() == Some(name)
    }

    /// Converts what the program names, and nothing else of the item.
    fn scope(&self, context: &Context<'_>) -> Result<Jinja> {
        let converter = Converter::new(self.names.compares());
        let mut scope = Vec::new();
        for (name, fields) in self.names.free() {
            let value = if &**name == "root" {
                converter.fields(context.root, fields)?
            } else if self.is_bound(name) {
                converter.fields(context.row, fields)?
            } else if let (Some(index), "index") = (context.index, &**name) {
                Jinja::from(index)
            } else {
                match context.row.get(name) {
                    Some(value) => converter.value(value)?,
                    None => continue,
                }
            };
            scope.push((name.clone(), value));
        }
        Ok(convert::scope(scope))
    }
}

/// Why a source was refused, in words.
fn refused(error: &minijinja::Error, source: &str) -> Flaw {
    let message = match (error.kind(), error.detail()) {
        (ErrorKind::SyntaxError, Some(detail)) => format!("syntax error: {detail}"),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    let range = error.range().filter(|range| source.get(range.clone()).is_some()).unwrap_or(0..source.len());
    Flaw::new(message, range)
}

/// Why an evaluation failed. minijinja's details may quote values, so only those that name types are kept.
fn failed(error: &minijinja::Error) -> Error {
    let mut message = format!("an expression failed: {}", error.kind());
    if let Some(detail) = error.detail().filter(|d| d.starts_with("tried to use ") || d.starts_with(python::OURS)) {
        message = format!("an expression failed: {}", detail.trim_start_matches(python::OURS))
            .replace("plain object", "number of many digits");
    }
    let place = error.range().and_then(|range| error.template_source()?.get(range));
    if let Some(place) = place.filter(|place| !place.trim().is_empty()) {
        message = format!("{message} at `{}`", place.trim());
    }
    Error::data(message)
}

#[cfg(test)]
mod tests;
