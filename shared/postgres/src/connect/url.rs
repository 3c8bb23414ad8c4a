//! Reads a connection URL: takes out what it says of TLS, which the driver knows less of than libpq does, and leaves the
//! rest to the driver.

use tributary_core::{Error, Result};

/// A connection URL, read.
pub(super) struct Url {
    /// All but TLS.
    pub(super) config: tokio_postgres::Config,
    /// What `sslmode` says; `None` when it is not there.
    pub(super) mode: Option<Mode>,
    /// What `sslrootcert` says: a file, or `system`.
    pub(super) root: Option<String>,
}

/// What `sslmode` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// `disable`, `allow`, `prefer`, `no-verify`: plain text, or any certificate, will do.
    Weak,
    /// `require`, `verify-ca`, `verify-full`: TLS. We verify in all three cases.
    Tls,
}

/// Reads a URL, `postgres://user:password@host:port/database?options`, or libpq's `key=value` form.
///
/// # Errors
/// `Config`, without any part of the text: a password that is not percent-encoded may turn up anywhere in it.
pub(super) fn read(text: &str) -> Result<Url> {
    let text = text.trim();
    let mut url = Url { config: tokio_postgres::Config::new(), mode: None, root: None };
    let is_url = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
    let rest = if is_url { url.take_from_query(text)? } else { url.take_from_pairs(text)? };
    // Its own error names the option that it doesn't know, which may be a piece of a password.
    url.config = rest.parse().map_err(|_| unreadable())?;
    Ok(url)
}

impl Url {
    fn take_from_query(&mut self, text: &str) -> Result<String> {
        // The driver ends the credentials at the first `@`; a second one belongs to a password that was not encoded.
        let (credentials, address) = text.split_once('@').unwrap_or(("", text));
        let (address, query) = address.split_once('?').unwrap_or((address, ""));
        if !credentials.is_empty() && address.contains('@') {
            return Err(unreadable());
        }
        let mut kept = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(unreadable)?;
            if !self.take(key, &decode(value)?)? {
                kept.push(pair);
            }
        }
        let start = if credentials.is_empty() { address.to_owned() } else { format!("{credentials}@{address}") };
        Ok(if kept.is_empty() { start } else { format!("{start}?{}", kept.join("&")) })
    }

    fn take_from_pairs(&mut self, text: &str) -> Result<String> {
        let mut kept = Vec::new();
        for word in text.split_whitespace() {
            let taken = match word.split_once('=') {
                Some((key, value)) => self.take(key, value.trim_matches('\''))?,
                None => false,
            };
            if !taken {
                kept.push(word);
            }
        }
        Ok(kept.join(" "))
    }

    /// Takes a parameter that is about TLS; `false` leaves it to the driver.
    fn take(&mut self, key: &str, value: &str) -> Result<bool> {
        match key {
            "sslmode" => {
                let mode = match value {
                    "disable" | "allow" | "prefer" | "no-verify" => Mode::Weak,
                    "require" | "verify-ca" | "verify-full" => Mode::Tls,
                    _ => {
                        return Err(Error::config("the connection url has an unknown sslmode")
                            .with_hint("write sslmode=verify-full, or leave it out: TLS is verified anyway"));
                    }
                };
                if self.mode.is_some_and(|earlier| earlier != mode) {
                    return Err(Error::config("the connection url has two sslmodes").with_hint("leave one"));
                }
                self.mode = Some(mode);
            }
            "sslrootcert" => self.root = Some(value.to_owned()),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn decode(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next(), rest.next()].map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
        let [Some(high), Some(low)] = digits else { return Err(unreadable()) };
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| unreadable())
}

fn unreadable() -> Error {
    Error::config("the connection url cannot be read").with_hint(
        "write postgres://USER:PASSWORD@HOST:5432/DATABASE; in user and password, percent-encode all but letters, digits \
         and -._~",
    )
}
