//! Where a server is, and what of a URL the file names.

// The half of `std::net` that knows addresses and no sockets.
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::node::Text;
use super::report::Report;

/// Names that are never public: of this machine, of a local network (RFC 6762, RFC 8375), of a private one (ICANN 2024).
const PRIVATE: [&str; 4] = [".localhost", ".local", ".internal", ".home.arpa"];

/// An address as HTTP clients want it, without a slash at its end. The requests to it carry a token, so it may be `http`
/// only where nobody else listens.
pub(super) fn base_url(text: &Text, example: &str, report: &mut Report<'_>) -> Option<String> {
    let span = text.span.clone();
    let write = format!("write `base_url: {example}`");
    let (scheme, rest) = match text.text.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => (String::new(), ""),
    };
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()));
    if text.text.contains('@') {
        report.hide(span.clone());
        let message = "a user or password stands in the address, where everybody reads it";
        report.add("literal-secret", span, message, "remove all up to the `@`; who we are has a key of its own");
        return None;
    }
    let Some(host) = host(authority).filter(|_| matches!(scheme.as_str(), "http" | "https")) else {
        report.add("bad-address", span, "this is not the address of a server", write);
        return None;
    };
    let address = format!("{scheme}://{authority}");
    if !matches!(tail, "" | "/") {
        if tail.contains(['?', '#']) {
            // It may be a key.
            report.hide(span.clone());
        }
        let message = "the address of a server has no path, and nothing after it";
        report.add("bad-address", span, message, format!("write `base_url: {address}`"));
        return None;
    }
    if scheme == "http" && !is_near(host) {
        let message = format!("the token would travel to `{host}` in the clear");
        let hint = "write `https://…`, or an address of this machine or of a private network";
        report.add("clear-token", span, message, hint);
        return None;
    }
    Some(address)
}

/// The host of `host`, `host:port` or `[address]:port`.
fn host(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(inside) => {
            let (host, port) = inside.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => {
            let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
            let label = |label: &str| {
                !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            };
            (host.split('.').all(label).then_some(host)?, port)
        }
    };
    port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0)).then_some(host)
}

/// Whether the host is this machine or in a private network.
fn is_near(host: &str) -> bool {
    let private = |v4: Ipv4Addr| v4.is_loopback() || v4.is_private();
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => private(v4),
        Ok(IpAddr::V6(v6)) => v6.is_loopback() || v6.is_unique_local(),
        Err(_) => {
            let name = host.to_ascii_lowercase();
            // A name without dots is looked up in our own network. One that begins with a digit may be an IPv4 address in
            // another spelling.
            let is_local = !name.contains('.') && name.starts_with(|c: char| c.is_ascii_alphabetic());
            is_local || PRIVATE.iter().any(|private| name.ends_with(private))
        }
    }
}

/// An id or name that becomes a part of a URL.
pub(super) fn segment(text: Text, what: &str, report: &mut Report<'_>) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.text.len() > 200 || !text.text.chars().all(fits) || text.text.chars().all(|c| c == '.') {
        let message = format!("this is not the id or name of {what}");
        report.add("bad-id", text.span, message, "it has letters, digits, `-`, `_` and `.`, at most 200");
        return None;
    }
    Some(text.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_travel_in_the_clear_only_where_nobody_else_listens() {
        let code = |url: &str| {
            let mut report = Report::new("", url);
            let text = Text { text: url.into(), span: 0..url.len() };
            match base_url(&text, "https://example.org", &mut report) {
                Some(address) => address,
                None => report.finish().0[0].code.to_owned(),
            }
        };
        for (url, expect) in [
            ("https://sequin.example.org:7376", "https://sequin.example.org:7376"),
            ("HTTPS://api.example.org/", "https://api.example.org"),
            ("http://localhost:7376", "http://localhost:7376"),
            ("http://127.0.0.1:1", "http://127.0.0.1:1"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://[fd00::1]", "http://[fd00::1]"),
            ("http://10.1.2.3", "http://10.1.2.3"),
            ("http://sequin:7376", "http://sequin:7376"),
            ("http://sequin.prod.internal", "http://sequin.prod.internal"),
            ("http://sequin.example.org", "clear-token"),
            ("http://8.8.8.8", "clear-token"),
            ("http://134744072", "clear-token"),
            ("http://0x08080808", "clear-token"),
            ("http://127.0.0.1.example.org", "clear-token"),
            ("http://localhost.example.org", "clear-token"),
            ("http://evil.notlocalhost", "clear-token"),
            ("http://[2001:db8::1]", "clear-token"),
            ("http://[::ffff:127.0.0.1]", "clear-token"),
            ("https://user:pass@example.org", "literal-secret"),
            ("http://localhost@example.org", "literal-secret"),
            ("http://localhost\\@example.org", "literal-secret"),
            ("https:/user:pass@example.org", "literal-secret"),
            ("https://example.org/v1", "bad-address"),
            ("https://example.org?key=1", "bad-address"),
            ("https://example.org#a", "bad-address"),
            ("https://example.org:0", "bad-address"),
            ("https://example.org:", "bad-address"),
            ("https://exa mple.org", "bad-address"),
            ("https://", "bad-address"),
            ("https://[::1", "bad-address"),
            ("https://.example.org", "bad-address"),
            ("ftp://example.org", "bad-address"),
            ("example.org", "bad-address"),
        ] {
            assert_eq!(code(url), expect, "{url}");
        }
    }
}
