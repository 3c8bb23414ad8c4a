//! `$filter`: comparisons of a few fields, joined by `and`, `or`, `not` and parentheses, with the three values of SQL.

use super::clock;

/// A value that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand<'a> {
    Null,
    Text(&'a str),
    /// Milliseconds since 1970.
    Time(Option<i64>),
    Number(u64),
}

/// Why a filter is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// 400.18.
    Syntax,
    /// 501.5: the field that isn't known.
    Field(String),
    /// 501.4: the function that isn't known.
    Function(String),
}

#[derive(Debug)]
enum Term {
    Field(String),
    Text(String),
    Time(i64),
    Number(u64),
    Null,
}

#[derive(Debug)]
enum Node {
    Or(Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Compare(Term, String, Term),
}

/// A filter.
#[derive(Debug)]
pub(super) struct Filter {
    node: Node,
    /// Whether it speaks of deletions, so that those are shown which it lets through.
    pub(super) shows_deleted: bool,
}

impl Filter {
    /// Reads one. Only these fields are known.
    pub(super) fn read(text: &str, known: &dyn Fn(&str) -> bool) -> Result<Self, Problem> {
        let mut words = Words { rest: text, fields: Vec::new(), known };
        let node = words.or()?;
        if !words.rest.trim_start().is_empty() {
            return Err(Problem::Syntax);
        }
        let mentions = |name: &str| words.fields.iter().any(|field| field == name);
        Ok(Filter { shows_deleted: mentions("__system/deletedAt"), node })
    }

    /// Whether a row is let through.
    pub(super) fn holds<'r>(&self, row: &impl Fn(&str) -> Operand<'r>) -> bool {
        value(&self.node, row) == Some(true)
    }
}

struct Words<'t> {
    rest: &'t str,
    fields: Vec<String>,
    known: &'t dyn Fn(&str) -> bool,
}

impl Words<'_> {
    fn eat(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start();
        let Some(after) = rest.strip_prefix(word) else { return false };
        let joined = word.chars().all(char::is_alphabetic) && after.starts_with(|next: char| next.is_alphanumeric());
        if joined {
            return false;
        }
        self.rest = after;
        true
    }

    fn or(&mut self) -> Result<Node, Problem> {
        let mut node = self.and()?;
        while self.eat("or") {
            node = Node::Or(Box::new(node), Box::new(self.and()?));
        }
        Ok(node)
    }

    fn and(&mut self) -> Result<Node, Problem> {
        let mut node = self.unary()?;
        while self.eat("and") {
            node = Node::And(Box::new(node), Box::new(self.unary()?));
        }
        Ok(node)
    }

    fn unary(&mut self) -> Result<Node, Problem> {
        if self.eat("not") {
            return Ok(Node::Not(Box::new(self.unary()?)));
        }
        if self.eat("(") {
            let node = self.or()?;
            return if self.eat(")") { Ok(node) } else { Err(Problem::Syntax) };
        }
        let left = self.term()?;
        let operator = ["lt", "le", "eq", "ne", "gt", "ge"].into_iter().find(|word| self.eat(word));
        let operator = operator.ok_or(Problem::Syntax)?.to_owned();
        Ok(Node::Compare(left, operator, self.term()?))
    }

    fn term(&mut self) -> Result<Term, Problem> {
        let rest = self.rest.trim_start();
        if let Some(mut after) = rest.strip_prefix('\'') {
            let mut text = String::new();
            loop {
                let end = after.find('\'').ok_or(Problem::Syntax)?;
                text.push_str(&after[..end]);
                after = &after[end + 1..];
                match after.strip_prefix('\'') {
                    // A quote is written twice.
                    Some(more) => {
                        text.push('\'');
                        after = more;
                    }
                    None => break,
                }
            }
            self.rest = after;
            return Ok(Term::Text(text));
        }
        let end = rest.find(|next: char| next.is_whitespace() || "()',".contains(next)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        self.rest = after;
        if after.starts_with('(') {
            return Err(Problem::Function(word.to_owned()));
        }
        if word == "null" {
            return Ok(Term::Null);
        }
        if word.starts_with(|first: char| first.is_ascii_digit()) {
            if let Ok(number) = word.parse() {
                return Ok(Term::Number(number));
            }
            return clock::read(word).map(Term::Time).ok_or(Problem::Syntax);
        }
        if word.is_empty() {
            return Err(Problem::Syntax);
        }
        let word = word.strip_prefix("$root/Submissions/").unwrap_or(word);
        if !(self.known)(word) {
            return Err(Problem::Field(word.to_owned()));
        }
        self.fields.push(word.to_owned());
        Ok(Term::Field(word.to_owned()))
    }
}

fn value<'r>(node: &Node, row: &impl Fn(&str) -> Operand<'r>) -> Option<bool> {
    match node {
        Node::Not(inner) => value(inner, row).map(|holds| !holds),
        Node::Or(left, right) => match (value(left, row), value(right, row)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
        Node::And(left, right) => match (value(left, row), value(right, row)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        },
        Node::Compare(left, operator, right) => {
            let of = |term: &Term| match term {
                Term::Field(name) => Held::of(row(name)),
                Term::Text(text) => Held::Text(text.clone()),
                Term::Time(at) => Held::Number(*at),
                Term::Number(number) => Held::Number(i64::try_from(*number).unwrap_or(i64::MAX)),
                Term::Null => Held::Null,
            };
            let (left, right) = (of(left), of(right));
            let null = left == Held::Null || right == Held::Null;
            match operator.as_str() {
                "eq" => Some(left == right),
                "ne" => Some(left != right),
                _ if null => None,
                "lt" => Some(left < right),
                "le" => Some(left <= right),
                "gt" => Some(left > right),
                _ => Some(left >= right),
            }
        }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Held {
    Null,
    Text(String),
    Number(i64),
}

impl Held {
    fn of(operand: Operand<'_>) -> Self {
        match operand {
            Operand::Null | Operand::Time(None) => Held::Null,
            Operand::Text(text) => Held::Text(text.to_owned()),
            Operand::Time(Some(at)) => Held::Number(at),
            Operand::Number(number) => Held::Number(i64::try_from(number).unwrap_or(i64::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(field: &str) -> Operand<'static> {
        match field {
            "__id" => Operand::Text("it's"),
            "__system/submissionDate" => Operand::Time(Some(1_767_225_600_000)),
            "__system/reviewState" => Operand::Text("edited"),
            _ => Operand::Time(None),
        }
    }

    #[test]
    fn a_filter_lets_through_what_sql_would() {
        let check = |text: &str, expect: Result<bool, Problem>| {
            let filter = Filter::read(text, &|name| name != "survey_date");
            assert_eq!(filter.map(|filter| filter.holds(&row)), expect, "{text}");
        };
        check("__id eq 'it''s'", Ok(true));
        check("__id eq 'other'", Ok(false));
        check("__id eq 'other' or __id eq 'it''s'", Ok(true));
        check("__system/submissionDate ge 2026-01-01T00:00:00.000Z", Ok(true));
        check("__system/submissionDate gt 2026-01-01T00:00:00.000Z", Ok(false));
        check("__system/updatedAt ge 2026-01-01T00:00:00.000Z", Ok(false));
        check("not (__system/updatedAt ge 2026-01-01T00:00:00.000Z)", Ok(false));
        check("not __system/updatedAt eq null", Ok(false));
        check("__system/deletedAt eq null or __system/deletedAt ne null", Ok(true));
        check("__id eq 'x' or __id eq 'y' and __system/deletedAt eq null", Ok(false));
        check("(__id eq 'it''s') and (__system/reviewState ne 'approved')", Ok(true));
        check("__id eq", Err(Problem::Syntax));
        check("(__id eq 'x'", Err(Problem::Syntax));
        check("__system/submissionDate ge 2026-01-01T00:00:00 00:00", Err(Problem::Syntax));
        check("survey_date eq '2026'", Err(Problem::Field("survey_date".to_owned())));
        check("__system/submissionDate le now()", Err(Problem::Function("now".to_owned())));
    }

    #[test]
    fn who_speaks_of_deletions_sees_the_deleted() {
        let shown = |text: &str| Filter::read(text, &|_| true).map(|filter| filter.shows_deleted);
        assert_eq!(shown("__id eq 'x'"), Ok(false));
        assert_eq!(shown("__id eq 'x' and (__system/deletedAt eq null or __system/deletedAt ne null)"), Ok(true));
    }
}
