//! The files of a submission: pictures, recordings, signatures.
//!
//! `GET …/submissions/{id}/attachments/{name}`. A server that keeps its files in S3 answers with an address there, which is
//! followed without our login. The file goes through, and is never held.

use md5::{Digest, Md5};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tributary_core::sink::Budget;
use tributary_core::{Error, Kind};

use super::call::{Call, Reached};
use super::card::hex;
use super::client::Central;
use super::failure::Trouble;
use super::set::{Set, encoded};
use crate::http::{HeaderValue, Request, header};

/// Statuses that aren't a file and are no refusal.
const TAKES: &[u16] = &[301, 302, 303, 304, 307, 308];
/// Addresses that one leads to, one after the other, at most.
const HOPS: usize = 3;

/// A file of a submission.
#[derive(Clone, Copy, Debug)]
pub struct File<'f> {
    /// The project's number.
    pub project: u64,
    /// The form's id.
    pub form: &'f str,
    /// The submission's `__id`.
    pub submission: &'f str,
    /// The file's name, as the submission has it.
    pub name: &'f str,
}

/// What came of asking for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    /// It is the one that is known.
    Same,
    /// The server doesn't have it: not yet, not any more, or it has no such submission or form.
    Missing,
    /// It was written.
    Stored {
        /// Its length in bytes.
        size: u64,
        /// The MD5 of what was written, as hexadecimal digits.
        md5: String,
        /// The type that the server gives it, `image/jpeg`.
        content_type: Option<String>,
    },
}

impl Central {
    /// Writes a file, unless its MD5 is the known one. After an error some of it may have been written.
    ///
    /// # Errors
    /// [`Trouble`]; `Unavailable` when the file came short or not as the server says it is.
    pub async fn attachment(
        &self,
        file: &File<'_>,
        known: Option<&str>,
        to: &mut (impl AsyncWrite + Unpin),
        budget: &impl Budget,
    ) -> Result<Got, Trouble> {
        let mut reached = match self.find(file, known, budget).await {
            Ok(reached) => reached,
            Err(Trouble::Refused(refusal)) if refusal.is_missing() => return Ok(Got::Missing),
            Err(trouble) => return Err(trouble),
        };
        if reached.answer.status.as_u16() == 304 {
            return Ok(Got::Same);
        }
        Ok(copy(&mut reached, to, budget).await?)
    }

    /// The answer that has the file, wherever it is.
    async fn find(&self, file: &File<'_>, known: Option<&str>, budget: &impl Budget) -> Result<Reached<'_>, Trouble> {
        let File { project, form, submission, name } = file;
        let set = Set::Submissions { project: *project, form: (*form).to_owned() };
        let path = format!("{}/submissions/{}/attachments/{}", set.path(), encoded(submission), encoded(name));
        let known = known.and_then(|md5| HeaderValue::from_str(&format!("\"{md5}\"")).ok());
        let asked = |url: String| {
            let request = Request::get(url);
            let request = match &known {
                // A store in front of which Central stands knows the same MD5, or has never heard of it.
                Some(known) => request.header(header::IF_NONE_MATCH, known.clone()),
                None => request,
            };
            Call::new(request, format!("read a file of {}", set.spoken())).takes(TAKES)
        };
        let mut url = self.line.url(&path);
        let mut call = asked(url.clone());
        for _ in 0..=HOPS {
            let reached = self.line.reach(&call, &mut self.line.tries(), budget).await?;
            let status = reached.answer.status.as_u16();
            if status == 304 || !(300..400).contains(&status) {
                return Ok(reached);
            }
            let to = reached.answer.header(&header::LOCATION).unwrap_or_default();
            url = led(&url, to)?;
            call = asked(url.clone()).unsigned();
        }
        Err(Error::config("a file of ODK Central is led from address to address").into())
    }
}

/// Where an answer leads to. Never out of TLS.
fn led(from: &str, to: &str) -> Result<String, Error> {
    let is = |url: &str, scheme: &str| url.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme));
    let (secure, plain) = ("https://", "http://");
    if is(to, secure) || (is(to, plain) && !is(from, secure)) {
        return Ok(to.to_owned());
    }
    if is(to, plain) {
        return Err(Error::config("ODK Central leads to a file without encryption")
            .with_hint("let the server's S3 endpoint have https; see S3_SERVER in its configuration"));
    }
    let rest = from.find("://").map_or(0, |at| at + 3);
    let end = from[rest..].find('/').map_or(from.len(), |at| rest + at);
    if to.starts_with('/') && !to.starts_with("//") {
        return Ok(format!("{}{to}", &from[..end]));
    }
    Err(Error::data("ODK Central leads to a file at an address that is none"))
}

async fn copy(
    Reached { answer, signed, .. }: &mut Reached<'_>,
    to: &mut (impl AsyncWrite + Unpin),
    budget: &impl Budget,
) -> Result<Got, Error> {
    let written = |e| Error::new(Kind::Unavailable, "a file of ODK Central cannot be written").with_source(e);
    let number = |text: &str| text.parse::<u64>().ok();
    let promised = answer.header(&header::CONTENT_LENGTH).and_then(number);
    let content_type = answer.header(&header::CONTENT_TYPE).map(str::to_owned);
    // Central's is the MD5. One of S3 may look so and be something else.
    let etag = answer.header(&header::ETAG).filter(|_| *signed).map(|etag| etag.trim_matches('"').to_owned());
    let expected = etag.filter(|etag| etag.len() == 32 && etag.bytes().all(|b| b.is_ascii_hexdigit()));
    let (mut md5, mut size) = (Md5::new(), 0_u64);
    while let Some(part) = answer.chunk(budget).await? {
        md5.update(&part);
        size += part.len() as u64;
        to.write_all(&part).await.map_err(written)?;
    }
    to.flush().await.map_err(written)?;
    let md5 = hex(&md5.finalize());
    if promised.is_some_and(|promised| promised != size)
        || expected.is_some_and(|etag| !etag.eq_ignore_ascii_case(&md5))
    {
        return Err(Error::unavailable("a file of ODK Central came short or changed on its way"));
    }
    Ok(Got::Stored { size, md5, content_type })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_anywhere_but_out_of_tls() {
        let check = |from: &str, to: &str, expect: Option<&str>| {
            assert_eq!(led(from, to).ok().as_deref(), expect, "{from} {to}");
        };
        let here = "https://odk.example.org/v1/projects/1";
        check(
            here,
            "https://s3.example.org/b/k?X-Amz-Signature=x",
            Some("https://s3.example.org/b/k?X-Amz-Signature=x"),
        );
        check(here, "http://s3.example.org/b/k", None);
        check(here, "HTTP://s3.example.org/b/k", None);
        check("http://127.0.0.1:1/v1", "http://127.0.0.1:2/b/k", Some("http://127.0.0.1:2/b/k"));
        check("http://127.0.0.1:1/v1", "https://s3/b", Some("https://s3/b"));
        check(here, "/elsewhere", Some("https://odk.example.org/elsewhere"));
        check("https://odk.example.org", "/x", Some("https://odk.example.org/x"));
        check(here, "//s3.example.org/x", None);
        check(here, "file:///etc/passwd", None);
        check(here, "", None);
    }
}
